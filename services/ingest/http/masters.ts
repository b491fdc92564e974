import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { PermanentError } from '#shared/errors.ts'
import { json } from '#shared/message.ts'
import { compile } from '#shared/schema.ts'
import type { Resumable, Stored } from '../uploads.ts'
import type { HttpDeps } from './deps.ts'
import { AssetGuid, SHA256_DIGEST, TrackParams } from './params.ts'
import { pieceOf } from './piece.ts'
import { Problem } from './problem.ts'
import { tooLarge } from './upload-file.ts'

const UploadId = Type.String({
  pattern: '^[A-Za-z0-9_-]{1,64}$',
  description: 'Names an upload that may take several requests. Any name will do.',
})
const MayResume = Type.Object(
  { upload: Type.Optional(UploadId) },
  { additionalProperties: false },
)
const Resumes = Type.Object({ upload: UploadId }, { additionalProperties: false })

const StoredMaster = Type.Object(
  {
    asset_guid: AssetGuid,
    sha256: Type.String({ description: 'It names the revision.' }),
    bytes: Type.Integer(),
    master_uri: Type.String({ description: 'For a job that means these very bytes.' }),
  },
  { title: 'StoredMaster' },
)

const Announced = Type.Object(
  {
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Of the whole file.' }),
    bytes: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false, title: 'AnnouncedMaster' },
)
const checkAnnounced = compile<Static<typeof Announced>>(Announced, 'The body', 'BAD_REQUEST')

const refused = {
  '4xx': {
    description: 'Refused.',
    content: { 'application/problem+json': { schema: Problem } },
  },
}
const tags = ['masters']
const TAKES = 'any type, e.g. application/octet-stream'

const put = {
  tags,
  summary: 'Upload a master',
  description: [
    'Takes the bytes of a master: `curl -T track.wav …/v1/masters/my-track`. They are stored under their sha256;',
    'the same bytes are stored once. `Repr-Digest: sha-256=:…:` has them checked on arrival.',
    '',
    'To be able to go on after a broken connection, name the upload (`?upload=…`), ask with HEAD where it stands,',
    'and send the rest with `Upload-Offset` (or `Content-Range: bytes first-last/total`). A piece that is not the',
    'last says `Upload-Complete: ?0`, or has a Content-Range that ends before the total, and is answered 202.',
    '',
    'Where masters are kept in Cloud Storage, uploads of more than 256 MiB need a `Repr-Digest`, or a session',
    '(POST), and resume by the session alone.',
  ].join('\n'),
  params: TrackParams,
  querystring: MayResume,
  body: {
    content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
  },
  response: {
    201: { description: 'Stored.', content: { 'application/json': { schema: StoredMaster } } },
    200: {
      description: 'These bytes were there already.',
      content: { 'application/json': { schema: StoredMaster } },
    },
    202: { description: 'This piece was kept; more is to come.' },
    ...refused,
  },
}

const post = {
  tags,
  summary: 'Ask where to upload a large master',
  description: [
    'Where masters are kept in Cloud Storage, the answer has a session URL for a resumable upload past this',
    'service. The object is named by the sha256 that is announced here, and nobody checks it: a wrong one gives',
    'the revision a wrong name. Elsewhere the answer has an address of this service, which can be resumed.',
  ].join('\n'),
  params: TrackParams,
  body: { ...Announced, examples: [{ sha256: 'a'.repeat(64), bytes: 76_392_044 }] },
  response: {
    200: {
      description: 'Where to PUT the bytes.',
      content: {
        'application/json': {
          schema: {
            type: 'object',
            properties: {
              method: { const: 'PUT' },
              url: { type: 'string', description: 'Null when these bytes are there already.' },
              headers: { type: 'object' },
              upload: { type: 'string' },
              master_uri: { type: 'string' },
            },
          },
        },
      },
    },
    ...refused,
  },
}

const head = {
  tags,
  summary: 'See where an upload stands',
  params: TrackParams,
  querystring: Resumes,
  response: {
    200: {
      description: 'Upload-Offset has the next byte; Upload-Complete is ?1 once it is whole.',
      headers: { 'upload-offset': { type: 'integer' }, 'upload-complete': { type: 'string' } },
      type: 'null',
    },
    404: { description: 'Nothing has come of it.', type: 'null' },
  },
}

/** PUT, HEAD and POST /v1/masters/{asset_guid}. */
export async function masterRoutes(app: FastifyInstance, deps: HttpDeps): Promise<void> {
  const { uploads } = deps
  const mostBytes = deps.config.max_upload_mb * 1024 * 1024
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

  /** Before a client that waits for it is told to send. */
  async function refuseLarge({ headers }: FastifyRequest): Promise<void> {
    if (Number(headers['content-length'] ?? 0) > mostBytes) throw tooLarge(mostBytes)
  }

  type Put = { Params: TrackParams; Querystring: Static<typeof MayResume> }
  app.put<Put>(
    '/v1/masters/:asset_guid',
    { schema: put, config: { takes: [TAKES] }, onRequest: refuseLarge },
    async (request, reply) => {
      const { upload } = request.query
      const { asset_guid } = request.params
      const stored =
        upload === undefined
          ? await receiveWhole(asset_guid, request, mostBytes, deps)
          : await receivePiece(asset_guid, upload, request, reply, mostBytes, deps)
      if (stored === undefined) return reply.code(202).send({ upload })
      const { created, ...told } = stored
      return reply
        .code(created ? 201 : 200)
        .header('etag', `"${stored.sha256}"`)
        .send(told)
    },
  )

  type Head = { Params: TrackParams; Querystring: Static<typeof Resumes> }
  app.head<Head>(
    '/v1/masters/:asset_guid',
    { schema: head, config: { swagger: { exposeHeadRoute: true } } },
    async (request, reply) => {
      const { asset_guid } = request.params
      const found = await resumable(deps).standing(asset_guid, request.query.upload)
      reply.header('cache-control', 'no-store')
      if (found === undefined) {
        throw new PermanentError(
          'NOT_FOUND',
          'Nothing has come of this upload: begin at byte 0.',
        )
      }
      reply
        .header('upload-offset', found.offset)
        .header('upload-complete', found.state === 'whole' ? '?1' : '?0')
      return reply.send()
    },
  )

  await app.register(async (inner) => {
    inner.removeAllContentTypeParsers()
    inner.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer', bodyLimit: 10_000 },
      (_request, body, done) => done(null, body),
    )
    inner.post<{ Params: TrackParams }>(
      '/v1/masters/:asset_guid',
      { schema: post, config: { takes: ['application/json'] } },
      async ({ params, body }) => {
        const { asset_guid } = params
        const { sha256, bytes = 0 } = checkAnnounced(
          json(body instanceof Uint8Array ? body : new Uint8Array(0), 'The body'),
        )
        if (bytes > mostBytes) throw tooLarge(mostBytes)
        const master_uri = uploads.uri(asset_guid, sha256)
        if (uploads.session !== undefined) {
          const url = await uploads.session(asset_guid, sha256, deps.aborting)
          const headers = { 'content-type': 'application/octet-stream' }
          return { method: 'PUT', url: url ?? null, headers, master_uri }
        }
        const upload = randomUUID()
        const digest = Buffer.from(sha256, 'hex').toString('base64')
        return {
          method: 'PUT',
          url: `/v1/masters/${asset_guid}?upload=${upload}`,
          headers: { 'repr-digest': `sha-256=:${digest}:` },
          ...{ upload, master_uri },
        }
      },
    )
  })
}

async function receiveWhole(
  assetGuid: string,
  request: FastifyRequest,
  mostBytes: number,
  { uploads, aborting }: HttpDeps,
): Promise<Stored> {
  const { headers, raw } = request
  if (headers['content-range'] !== undefined || headers['upload-offset'] !== undefined) {
    throw new PermanentError(
      'BAD_REQUEST',
      'A piece of an upload needs the name of the upload; expected ?upload=….',
      { at: 'query upload' },
    )
  }
  refuseEmpty(request)
  const expected = announcedDigest(request)
  const options = { mostBytes, signal: aborting }
  const body = raw.iterator({ destroyOnReturn: false })
  if (expected !== undefined && uploads.receiveAs !== undefined) {
    return await uploads.receiveAs(assetGuid, expected, body, options)
  }
  const incoming = await uploads.receive(body, options)
  try {
    if (incoming.bytes === 0) throw empty()
    if (expected !== undefined && expected !== incoming.sha256) {
      throw new PermanentError(
        'DIGEST_MISMATCH',
        `The sha256 of what came is ${incoming.sha256}, announced was ${expected}.`,
      )
    }
    return await incoming.keep(assetGuid, aborting)
  } finally {
    await incoming.discard()
  }
}

/** Undefined: the piece was kept, and more is to come. */
async function receivePiece(
  assetGuid: string,
  upload: string,
  request: FastifyRequest,
  reply: FastifyReply,
  mostBytes: number,
  deps: HttpDeps,
): Promise<Stored | undefined> {
  const uploads = resumable(deps)
  try {
    const standing = await uploads.append(assetGuid, upload, {
      ...pieceOf(request.headers, mostBytes),
      body: request.raw.iterator({ destroyOnReturn: false }),
      mostBytes,
      sha256: announcedDigest(request),
      signal: deps.aborting,
    })
    reply.header('upload-offset', standing.offset)
    return standing.state === 'whole' ? standing.stored : undefined
  } catch (error) {
    const at =
      error instanceof PermanentError ? /^byte (\d+)$/.exec(error.at ?? '')?.[1] : undefined
    if (at !== undefined) reply.header('upload-offset', at)
    throw error
  }
}

function resumable({ uploads }: HttpDeps): Resumable {
  if (uploads.resumable !== undefined) return uploads.resumable
  throw new PermanentError(
    'BAD_REQUEST',
    'Masters are kept in Cloud Storage here, where uploads resume by a session: POST to this address.',
    { at: 'query upload' },
  )
}

function announcedDigest({ headers }: FastifyRequest): string | undefined {
  for (const name of ['repr-digest', 'content-digest']) {
    const value = headers[name]
    if (value === undefined) continue
    const base64 = SHA256_DIGEST.exec(String(value))?.[1]
    if (base64 !== undefined) return Buffer.from(base64, 'base64').toString('hex')
    if (!/sha-256/i.test(String(value))) continue
    throw new PermanentError(
      'BAD_REQUEST',
      `${name} is ${JSON.stringify(String(value).slice(0, 100))}; expected sha-256=:<base64 of 32 bytes>:.`,
      { at: `header ${name}` },
    )
  }
  return undefined
}

function refuseEmpty({ headers }: FastifyRequest): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  if (length === '0' || (length === undefined && encoding === undefined)) throw empty()
}

function empty(): PermanentError {
  return new PermanentError('MASTER_UNREADABLE', 'The body is empty; expected audio.')
}
