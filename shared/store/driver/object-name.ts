import { StoreError } from '../../contracts/errors/store.ts'
import type { ObjectName } from '../../contracts/names.ts'

/**
 * The prefix of temporary files, which are being written. No segment of an object name may begin with it on any store,
 * so that every store can hold the same names.
 */
export const TEMPORARY = '.~'

/** The longest name of one file that a file system takes, bytes. */
const SEGMENT_BYTES = 255
/** The longest object name that Cloud Storage takes, bytes. */
const NAME_BYTES = 1024

/**
 * Returns the name if every store can hold it and it cannot lead out of its store.
 * @throws StoreError bad-name that says what is wrong with it.
 */
export function checkedName(name: string): ObjectName {
  for (const segment of name.split('/')) checkSegment(name, segment)
  checkLength(name)
  return name as ObjectName
}

/**
 * Returns the prefix if a legal name can begin with it. Whole folders are checked; what follows the last slash may be
 * the beginning of any segment.
 * @throws StoreError bad-name that says what is wrong with it.
 */
export function checkedPrefix(prefix: string): string {
  for (const segment of prefix.split('/').slice(0, -1)) checkSegment(prefix, segment)
  checkLength(prefix)
  return prefix
}

/**
 * Returns the prefix if it names a folder below the root of the store.
 * @throws StoreError bad-name that says what is wrong with it.
 */
export function checkedFolder(prefix: string): string {
  if (!prefix.endsWith('/')) refuse(prefix, 'a folder must end with a slash')
  return checkedPrefix(prefix)
}

/** Whether `checkedName` accepts a name. */
export function isLegalName(name: string): name is ObjectName {
  return name.split('/').every(isLegalSegment) && Buffer.byteLength(name) <= NAME_BYTES
}

/** Whether a text may be one segment of an object name. */
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
  throw new StoreError('bad-name', `${JSON.stringify(shown)} names no object: ${why}`)
}
