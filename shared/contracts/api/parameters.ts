import { type Static, Type } from 'typebox'
import { ASSET_GUID_PATTERN } from '../names.ts'

export const AssetGuid = Type.String({
  pattern: ASSET_GUID_PATTERN,
  description: 'The name of the track.',
  examples: ['example-track'],
})

/** The path of everything about a track. */
export const TrackParams = Type.Object({ asset_guid: AssetGuid })
export type TrackParams = Static<typeof TrackParams>

/** How much a page of a list has. */
export const PageSize = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 1000, description: '100 by default.' }),
)

/** The request that the examples of POST /v1/jobs make, so that the other examples find it. */
export const EXAMPLE_REQUEST_ID = '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11'
/** Likewise the release that they name. */
export const EXAMPLE_RELEASE_ID = 4_711_001

/** A sha256 as HTTP headers give it: https://www.rfc-editor.org/rfc/rfc9530. */
export const SHA256_DIGEST = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*(?:,|$)/
