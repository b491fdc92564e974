import { createHash } from 'node:crypto'

declare const brand: unique symbol
type Branded<Name> = string & { readonly [brand]: Name }

/** The name of an object within its store: slash-separated, no leading slash, no `.` or `..`. */
export type ObjectName = Branded<'ObjectName'>
/** Which bytes of a master: see DESIGN.md, Words. */
export type Revision = Branded<'Revision'>
/** One request for one track. */
export type JobId = Branded<'JobId'>

/** What an asset_guid may look like: it becomes a folder's name on every store. */
export const ASSET_GUID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$'
/** The same, or a GUID in braces, as an EncodeJob may have it. */
export const GIVEN_GUID_PATTERN = `${ASSET_GUID_PATTERN}|^\\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\\}$`
/** Text that every store, database and terminal takes: no control characters, no half of a surrogate pair. */
export const TEXT_PATTERN = '^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]*$'
/** What a request may be called: text that can stand in an address, which `.` and `..` cannot. */
export const REQUEST_ID_PATTERN = `^(?!\\.{1,2}$)${TEXT_PATTERN.slice(1)}`
/** Characters of a request's id, at most: an index of the database has to take it. */
export const REQUEST_ID_CHARACTERS = 200
/** What a derivative asset's id may look like. */
export const ASSET_ID_PATTERN = '^[a-z0-9][a-z0-9-]{0,63}$'
/** What a route may be called: it becomes a topic's suffix. */
export const ROUTE_PATTERN = '^[a-z][a-z0-9-]{0,31}$'

/** Equal values, whatever the order of their keys, have equal digests. 16 hex digits unless told. */
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

/** An id without the braces that some programs write around a GUID; any other text as it is. */
export function withoutBraces(id: string): string {
  return BRACED.exec(id)?.[1] ?? id
}

/** The one form of a request's id: of a UUID, however it is written, its lower-case digits; any other text as it is. */
export function canonicalRequestId(requestId: string): string {
  return UUID_FORMS.exec(withoutBraces(requestId))?.[1]?.toLowerCase() ?? requestId
}

/** The track that a job is about: by its asset_guid, else by its asset_id; undefined when it has neither. */
export function trackOf(job: {
  readonly asset_guid?: unknown
  readonly asset_id?: unknown
}): string | undefined {
  if (job.asset_guid !== undefined) return withoutBraces(`${job.asset_guid}`)
  return job.asset_id === undefined ? undefined : `id-${job.asset_id}`
}

/** A request id for a message that gave none: the same message always has the same. */
export function requestIdFrom(messageId: string): string {
  return uuidFrom(`pubsub:${messageId}`)
}

/** A UUID, of version 8, that follows from a text. */
export function uuidFrom(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) & 3)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Where a finished derivative asset lives. */
export function assetName(
  track: string,
  revision: Revision,
  asset: { readonly id: string; readonly version: number },
  extension: string,
): ObjectName {
  return `assets/${track}/${revision}/${asset.id}@${asset.version}.${extension}` as ObjectName
}

/** Whose intermediate objects: those of one plan of one run. A run that begins anew may have another plan. */
export interface ScratchPlace {
  readonly route: string
  readonly job: JobId
  readonly run: number
  /** The plan's digest. */
  readonly plan: string
}

/** The folder of all that one run keeps while it is under way. */
export function runPrefix({ route, job, run }: Omit<ScratchPlace, 'plan'>): string {
  return `${route}/${job}/${run}/`
}

/** The folder of what belongs to one plan of a run. */
export function scratchPrefix(place: ScratchPlace): string {
  return `${runPrefix(place)}${place.plan}/`
}

/** An intermediate object of one plan. */
export function scratchName(place: ScratchPlace, ...path: readonly string[]): ObjectName {
  return `${scratchPrefix(place)}${path.join('/')}` as ObjectName
}

/** A sample range as it stands in object names: fixed width, so that names sort by time. */
export function rangeName(start: number, end: number): string {
  return `${String(start).padStart(12, '0')}-${String(end).padStart(12, '0')}`
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
