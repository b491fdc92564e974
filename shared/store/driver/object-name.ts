import { PermanentError } from '../../contracts/errors/chain.ts'
import type { ObjectName } from '../../contracts/names.ts'

/**
 * Segments that begin so are files under way: no object may be called so, on any store,
 * so that what one store can hold the others can hold too.
 */
export const TEMPORARY = '.~'

/** What a file system takes as one name, bytes. */
const SEGMENT_BYTES = 255
/** What Cloud Storage takes as a whole name, bytes. */
const NAME_BYTES = 1024

/**
 * The same name, if every store can hold it and it cannot leave the store it is given to.
 * @throws PermanentError BAD_REQUEST that says what is wrong with it.
 */
export function checkedName(name: string): ObjectName {
  for (const segment of name.split('/')) checkSegment(name, segment)
  checkLength(name)
  return name as ObjectName
}

/**
 * The same prefix, if it can begin a legal name: whole folders are checked, what follows the last
 * slash may be the beginning of anything.
 * @throws PermanentError BAD_REQUEST that says what is wrong with it.
 */
export function checkedPrefix(prefix: string): string {
  for (const segment of prefix.split('/').slice(0, -1)) checkSegment(prefix, segment)
  checkLength(prefix)
  return prefix
}

/**
 * The same prefix, if it names a folder below the store's own top.
 * @throws PermanentError BAD_REQUEST that says what is wrong with it.
 */
export function checkedFolder(prefix: string): string {
  if (!prefix.endsWith('/')) refuse(prefix, 'a folder must end with a slash')
  return checkedPrefix(prefix)
}

/** True for what `checkedName` would take. */
export function isLegalName(name: string): name is ObjectName {
  return name.split('/').every(isLegalSegment) && Buffer.byteLength(name) <= NAME_BYTES
}

/** True for what may stand between two slashes of a name. */
export function isLegalSegment(segment: string): boolean {
  return segmentFault(segment) === undefined
}

/** The order of object names: that of their UTF-8 bytes, as Cloud Storage lists them. */
export function byName(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function checkSegment(name: string, segment: string): void {
  const fault = segmentFault(segment)
  if (fault !== undefined) refuse(name, fault)
}

function segmentFault(segment: string): string | undefined {
  if (segment === '') return 'it has an empty segment'
  if (segment === '.' || segment === '..') return `it has the segment ${segment}`
  if (segment.startsWith(TEMPORARY)) return `segments may not begin with ${TEMPORARY}`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f\\]/.test(segment))
    return 'it has a control character or a backslash'
  if (!segment.isWellFormed()) return 'it is not well-formed Unicode'
  if (Buffer.byteLength(segment) > SEGMENT_BYTES)
    return `a segment is longer than ${SEGMENT_BYTES} bytes`
  return undefined
}

function checkLength(name: string): void {
  if (Buffer.byteLength(name) > NAME_BYTES)
    refuse(name, `it is longer than ${NAME_BYTES} bytes`)
}

function refuse(name: string, why: string): never {
  const shown = name.length > 100 ? `${name.slice(0, 100)}…` : name
  throw new PermanentError('BAD_REQUEST', `${JSON.stringify(shown)} names no object: ${why}`)
}
