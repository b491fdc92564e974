import { type Static, Type } from 'typebox'
import { TrackParams } from '#shared/contracts/api/parameters.ts'
import { KeptPiece, StoredMaster, UploadSession } from '#shared/contracts/api/upload.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const UploadId = Type.String({
  pattern: '^[A-Za-z0-9_-]{1,64}$',
  description: 'A name of your choice for an upload that may take several requests.',
})
/** The query of a PUT. */
export const MayResume = Type.Object(
  { upload: Type.Optional(UploadId) },
  { additionalProperties: false },
)
export type MayResume = Static<typeof MayResume>

/** The query of a HEAD. */
export const Resumes = Type.Object({ upload: UploadId }, { additionalProperties: false })
export type Resumes = Static<typeof Resumes>

/** The body of a POST. */
export const Announced = Type.Object(
  {
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Of the whole file.' }),
    bytes: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Of the whole file. A file of 0 bytes is refused.',
      }),
    ),
    replace: Type.Optional(
      Type.Boolean({
        description:
          'False: refuse it (OTHER_CONTENT) where the latest upload of the track is other content.',
      }),
    ),
    crc32c: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9+/]{6}==$',
        description:
          'Base64 of its CRC-32C, as Cloud Storage has it: what arrives there otherwise is refused.',
      }),
    ),
  },
  { additionalProperties: false, title: 'AnnouncedMaster' },
)
export type Announced = Static<typeof Announced>

const tags = ['masters']
/** The content types of a master. */
export const TAKES = 'any type, e.g. application/octet-stream'

/** PUT, for the OpenAPI document. */
export const put = {
  operationId: 'uploadMaster',
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
    201: jsonResponse('Stored.', StoredMaster),
    200: jsonResponse('These bytes were there already.', StoredMaster),
    202: jsonResponse('This piece was kept; more is to come.', KeptPiece),
    ...refused,
  },
}

/** POST, for the OpenAPI document. */
export const post = {
  operationId: 'beginUpload',
  tags,
  summary: 'Get an address for the upload of a large master',
  description: [
    'Where masters are kept in Cloud Storage, the answer has a session URL for a resumable upload past this',
    'service. The object is named by the sha256 that is announced here, and it is not checked: a wrong one gives',
    'the revision a wrong name. Elsewhere the answer has an address of this service, which can be resumed.',
  ].join('\n'),
  params: TrackParams,
  body: { ...Announced, examples: [{ sha256: 'a'.repeat(64), bytes: 76_392_044 }] },
  response: {
    200: jsonResponse('Where to PUT the bytes.', UploadSession),
    ...refused,
  },
}

/** HEAD, for the OpenAPI document. */
export const head = {
  operationId: 'getUploadOffset',
  tags,
  summary: 'Show the offset of an upload',
  description:
    'Before an interrupted upload goes on: the rest begins at the byte `upload-offset`.',
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
