import { createHash } from 'node:crypto'

declare const brand: unique symbol
type Branded<Name> = string & { readonly [brand]: Name }

/** The name of an object within its store: slash-separated, no leading slash, no `.` or `..`. */
export type ObjectName = Branded<'ObjectName'>
/** Identifies the bytes of a master: see DESIGN.md, Words. */
export type Revision = Branded<'Revision'>
/** The id of a job: one request for one track. */
export type JobId = Branded<'JobId'>

/** The pattern of an asset_guid, which becomes the name of a folder on every store. */
export const ASSET_GUID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$'
/** The pattern of an asset_guid in an EncodeJob, where it may also be a GUID in braces. */
export const GIVEN_GUID_PATTERN = `${ASSET_GUID_PATTERN}|^\\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\\}$`
/** The pattern of text that every store, database and terminal takes: no control characters, no lone surrogates. */
export const TEXT_PATTERN = '^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]*$'
/** The pattern of a request's id, which has to be possible in a URL path, unlike `.` and `..`. */
export const REQUEST_ID_PATTERN = `^(?!\\.{1,2}$)${TEXT_PATTERN.slice(1)}`
/** The maximum length of a request's id, characters: an index of the database has to take it. */
export const REQUEST_ID_CHARACTERS = 200
/** How the id of a campaign begins, which is also the request_id of its jobs. */
export const CAMPAIGN_ID_START = 'campaign-'
/** The pattern of a campaign's id. */
export const CAMPAIGN_ID_PATTERN = `^${CAMPAIGN_ID_START}[0-9a-z]{8,20}$`
/** The pattern of a derivative asset's id. */
export const ASSET_ID_PATTERN = '^[a-z0-9][a-z0-9-]{0,63}$'
/** The pattern of a route's name, which becomes the suffix of topics. */
export const ROUTE_PATTERN = '^[a-z][a-z0-9-]{0,31}$'

/** A digest of a value, which does not depend on the order of keys. `hexDigits`: its length. Default: 16. */
export function digest(value: unknown, hexDigits = 16): string {
  return createHash('sha256')
    .update(JSON.stringify(value, sortKeys) ?? 'undefined')
    .digest('hex')
    .slice(0, hexDigits)
}

export function jobId(requestId: string, assetGuid: string): JobId {
  return digest([canonicalRequestId(requestId), assetGuid], 24) as JobId
}

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const BRACED = new RegExp(`^\\{(${UUID})\\}$`, 'i')
const UUID_FORMS = new RegExp(`^(?:urn:uuid:)?(${UUID})$`, 'i')

/** An id without the braces that some programs put around a GUID; any other text is unchanged. */
export function withoutBraces(id: string): string {
  return BRACED.exec(id)?.[1] ?? id
}

/** The canonical form of a request's id: a UUID in any notation becomes lower-case; other text is unchanged. */
export function canonicalRequestId(requestId: string): string {
  return UUID_FORMS.exec(withoutBraces(requestId))?.[1]?.toLowerCase() ?? requestId
}

/** The track of a job: its asset_guid, or its asset_id, or undefined if it has neither. */
export function trackOf(job: {
  readonly asset_guid?: unknown
  readonly asset_id?: unknown
}): string | undefined {
  if (job.asset_guid !== undefined) return withoutBraces(`${job.asset_guid}`)
  return job.asset_id === undefined ? undefined : `id-${job.asset_id}`
}

/** A request id for a message without one. The same message always gets the same id. */
export function requestIdFrom(messageId: string): string {
  return uuidFrom(`pubsub:${messageId}`)
}

/** A UUID of version 8 that is derived from a text. */
export function uuidFrom(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) & 3)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** The name of a file of a finished derivative asset. */
export function assetName(
  track: string,
  revision: Revision,
  asset: { readonly id: string; readonly version: number },
  extension: string,
): ObjectName {
  return `assets/${track}/${revision}/${asset.id}@${asset.version}.${extension}` as ObjectName
}

/** The name of what was found out about a master when assets were made of it, among the finished assets. */
export function factsName(track: string, revision: Revision): ObjectName {
  return `masters/${track}/${revision}.json` as ObjectName
}

/** The place in scratch of one plan of one run. A run that restarts may have another plan. */
export interface ScratchPlace {
  readonly route: string
  readonly job: JobId
  readonly run: number
  /** The plan's digest. */
  readonly plan: string
}

/** The folder in scratch of one run. */
export function runPrefix({ route, job, run }: Omit<ScratchPlace, 'plan'>): string {
  return `${route}/${job}/${run}/`
}

/** The folder in scratch of one plan of a run. */
export function scratchPrefix(place: ScratchPlace): string {
  return `${runPrefix(place)}${place.plan}/`
}

/** The name of an intermediate object of one plan. */
export function scratchName(place: ScratchPlace, ...path: readonly string[]): ObjectName {
  return `${scratchPrefix(place)}${path.join('/')}` as ObjectName
}

/** A sample range in the names of objects. It has a fixed width, so that names sort by time. */
export function rangeName(start: number, end: number): string {
  return `${String(start).padStart(12, '0')}-${String(end).padStart(12, '0')}`
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
