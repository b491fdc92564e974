import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SHA256_DIGEST, type TrackParams } from '#shared/contracts/api/parameters.ts'
import type { StoredMaster, UploadSession } from '#shared/contracts/api/upload.ts'
import type { PermanentError } from '#shared/contracts/errors/chain.ts'
import { badRequest, HttpError } from '#shared/contracts/errors/http.ts'
import { compile } from '#shared/contracts/validator.ts'
import type { Config } from '#shared/frame/settings.ts'
import { documentIn, JSON_TYPE, takeJson } from '../http/json-body.ts'
import type { Replacements } from './replacements.ts'
import { Announced, head, type MayResume, post, put, type Resumes, TAKES } from './schema.ts'
import { emptyMaster, tooLarge } from './upload-folder.ts'
import { pieceOf } from './upload-range.ts'
import type { Resumable, Stored, Uploads } from './uploads.ts'

const checkAnnounced = compile<Announced>(Announced, 'The body', badRequest)

/** The sha256 of no bytes at all. */
const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

interface MasterDeps {
  readonly config: Pick<Config, 'max_upload_mib'>
  readonly uploads: Uploads
  readonly replacements: Replacements
  /** Aborts when uploads under way have to be given up. */
  readonly aborting: AbortSignal
}

/** PUT, HEAD and POST /v1/masters/{asset_guid}. */
export async function masterRoutes(app: FastifyInstance, deps: MasterDeps): Promise<void> {
  const { uploads } = deps
  const mostBytes = deps.config.max_upload_mib * 1024 * 1024
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

  /** Before a client that waits for it may send. */
  async function refuseLarge({ headers }: FastifyRequest): Promise<void> {
    if (Number(headers['content-length'] ?? 0) > mostBytes) throw tooLarge(mostBytes)
  }

  type Put = { Params: TrackParams; Querystring: MayResume }
  app.put<Put>(
    '/v1/masters/:asset_guid',
    { schema: put, config: { scope: 'submit', takes: [TAKES] }, onRequest: refuseLarge },
    async (request, reply) => {
      const { upload } = request.query
      const { asset_guid } = request.params
      let replaces: string | undefined
      const onWhole = async (sha256: string) => {
        const arriving = { guid: asset_guid, sha256, by: request.caller }
        replaces = await deps.replacements.check({ ...arriving, signal: deps.aborting })
      }
      const into = { ...deps, mostBytes, onWhole }
      const stored =
        upload === undefined
          ? await receiveWhole(asset_guid, request, into)
          : await receivePiece(asset_guid, upload, request, reply, into)
      if (stored === undefined) return reply.code(202).send({ upload })
      const { created, ...rest } = stored
      const master: StoredMaster = { ...rest, ...(replaces === undefined ? {} : { replaces }) }
      return reply
        .code(created ? 201 : 200)
        .header('etag', `"${stored.sha256}"`)
        .send(master)
    },
  )

  type Head = { Params: TrackParams; Querystring: Resumes }
  app.head<Head>(
    '/v1/masters/:asset_guid',
    { schema: head, config: { scope: 'submit', swagger: { exposeHeadRoute: true } } },
    async (request, reply) => {
      const { asset_guid } = request.params
      const found = await resumable(deps).standing(asset_guid, request.query.upload)
      reply.header('cache-control', 'no-store')
      if (found === undefined) {
        throw new HttpError('NOT_FOUND', 'Nothing has come of this upload: begin at byte 0.')
      }
      reply
        .header('upload-offset', found.offset)
        .header('upload-complete', found.state === 'whole' ? '?1' : '?0')
      return reply.send()
    },
  )

  await app.register(async (inner) => {
    inner.removeAllContentTypeParsers()
    takeJson(inner, 10_000)
    inner.post<{ Params: TrackParams }>(
      '/v1/masters/:asset_guid',
      { schema: post, config: { scope: 'submit', takes: [JSON_TYPE], inflates: true } },
      async ({ params, body, caller, headers: { origin } }): Promise<UploadSession> => {
        const { asset_guid } = params
        const announced = checkAnnounced(documentIn(body, "the master's sha256"))
        const { sha256, bytes, replace } = announced
        if (bytes === 0 || sha256 === SHA256_OF_NOTHING) throw empty(asset_guid)
        if (bytes !== undefined && bytes > mostBytes) throw tooLarge(mostBytes)
        const master_uri = uploads.uri(asset_guid, sha256)
        const arriving = { guid: asset_guid, sha256, by: caller, signal: deps.aborting }
        // What comes past this service is recorded now; the rest when it is whole.
        const isPast = uploads.session !== undefined
        const replaces = await deps.replacements.check({
          ...arriving,
          mayReplace: replace,
          isPast,
        })
        const named = { master_uri, ...(replaces === undefined ? {} : { replaces }) }
        if (uploads.session !== undefined) {
          const signal = deps.aborting
          const url = await uploads.session(asset_guid, announced, { origin, signal })
          const headers = { 'content-type': 'application/octet-stream' }
          return { method: 'PUT', url: url ?? null, headers, ...named }
        }
        const upload = randomUUID()
        const digest = Buffer.from(sha256, 'hex').toString('base64')
        return {
          method: 'PUT',
          url: `/v1/masters/${asset_guid}?upload=${upload}`,
          headers: { 'repr-digest': `sha-256=:${digest}:` },
          upload,
          ...named,
        }
      },
    )
  })
}

/** Where the bytes of a PUT go. */
interface Into extends MasterDeps {
  readonly mostBytes: number
  /** Called with the sha256 of bytes that are whole, before they get their name. */
  readonly onWhole: (sha256: string) => Promise<void>
}

async function receiveWhole(
  assetGuid: string,
  request: FastifyRequest,
  { uploads, aborting, mostBytes, onWhole }: Into,
): Promise<Stored> {
  const { headers, raw } = request
  if (headers['content-range'] !== undefined || headers['upload-offset'] !== undefined) {
    throw new HttpError(
      'BAD_REQUEST',
      'A piece of an upload needs the name of the upload; expected ?upload=….',
      { at: 'query upload' },
    )
  }
  refuseEmpty(assetGuid, request)
  const expected = announcedDigest(request)
  const options = { mostBytes, signal: aborting }
  const body = raw.iterator({ destroyOnReturn: false })
  if (expected === SHA256_OF_NOTHING) throw empty(assetGuid)
  if (expected !== undefined && uploads.receiveAs !== undefined) {
    const whole = { ...options, onWhole: () => onWhole(expected) }
    return await uploads.receiveAs(assetGuid, expected, body, whole)
  }
  const incoming = await uploads.receive(body, options)
  try {
    if (incoming.bytes === 0) throw empty(assetGuid)
    if (expected !== undefined && expected !== incoming.sha256) {
      throw new HttpError(
        'DIGEST_MISMATCH',
        `The sha256 of what came is ${incoming.sha256}, announced was ${expected}.`,
      )
    }
    await onWhole(incoming.sha256)
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
  { mostBytes, onWhole, ...deps }: Into,
): Promise<Stored | undefined> {
  const uploads = resumable(deps)
  try {
    const standing = await uploads.append(assetGuid, upload, {
      ...pieceOf(request.headers, mostBytes),
      body: request.raw.iterator({ destroyOnReturn: false }),
      mostBytes,
      sha256: announcedDigest(request),
      signal: deps.aborting,
      onWhole,
    })
    reply.header('upload-offset', standing.offset)
    return standing.state === 'whole' ? standing.stored : undefined
  } catch (error) {
    const at = error instanceof HttpError ? /^byte (\d+)$/.exec(error.at ?? '')?.[1] : undefined
    if (at !== undefined) reply.header('upload-offset', at)
    throw error
  }
}

function resumable({ uploads }: Pick<MasterDeps, 'uploads'>): Resumable {
  if (uploads.resumable !== undefined) return uploads.resumable
  throw new HttpError(
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
    throw new HttpError(
      'BAD_REQUEST',
      `${name} is ${JSON.stringify(String(value).slice(0, 100))}; expected sha-256=:<base64 of 32 bytes>:.`,
      { at: `header ${name}` },
    )
  }
  return undefined
}

function refuseEmpty(assetGuid: string, { headers }: FastifyRequest): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  if (length === '0' || (length === undefined && encoding === undefined)) throw empty(assetGuid)
}

function empty(assetGuid: string): PermanentError {
  return emptyMaster(`The master of the track ${assetGuid}`)
}
