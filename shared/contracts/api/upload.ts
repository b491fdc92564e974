import { Type } from 'typebox'
import { Dictionary, Nullable, type ResponseOf } from './response.ts'

const Replaces = Type.String({
  description:
    'The sha256 of what was the latest upload of the track before: it is other content. It stays.',
})

/** PUT /v1/masters/{asset_guid}, when all of it is there. */
export const StoredMaster = Type.Object(
  {
    asset_guid: Type.String(),
    sha256: Type.String({ description: 'The sha256 of the bytes, which names the revision.' }),
    bytes: Type.Integer(),
    master_uri: Type.String({
      description: 'The master_uri for a job that means these very bytes.',
    }),
    replaces: Type.Optional(Replaces),
  },
  { title: 'StoredMaster' },
)
export type StoredMaster = ResponseOf<typeof StoredMaster>

/** PUT /v1/masters/{asset_guid}, when more is to come. */
export const KeptPiece = Type.Object(
  { upload: Type.String({ description: 'The name of the upload.' }) },
  { title: 'KeptPiece' },
)

/** POST /v1/masters/{asset_guid}. */
export const UploadSession = Type.Object(
  {
    method: Type.Literal('PUT'),
    url: Nullable(Type.String(), {
      description: 'The address to send the bytes to; null when they exist already.',
    }),
    headers: Dictionary(Type.String(), { description: 'The headers to send with the bytes.' }),
    upload: Type.Optional(
      Type.String({ description: 'The name of the upload, where this service keeps masters.' }),
    ),
    master_uri: Type.String({
      description: 'The master_uri for a job that means these very bytes.',
    }),
    replaces: Type.Optional(Replaces),
  },
  { title: 'UploadSession' },
)
export type UploadSession = ResponseOf<typeof UploadSession>
