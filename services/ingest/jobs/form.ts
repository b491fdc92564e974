import type { MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import type { Accepted } from '#shared/contracts/api/submission.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { cleanFileName, guidOfFile } from '#shared/contracts/file-names.ts'
import { LANES } from '#shared/contracts/lanes.ts'
import { json } from '#shared/contracts/message.ts'
import { ASSET_GUID_PATTERN, trackOf } from '#shared/contracts/names.ts'
import { utf8 } from '#shared/contracts/text.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { Replacements } from '../masters/replacements.ts'
import { emptyMaster, tooLarge } from '../masters/upload-folder.ts'
import type { Incoming, Uploads } from '../masters/uploads.ts'
import type { Submissions } from './submit-job.ts'
import { traceparentOf } from './submit-job.ts'

export const FORM_TYPE = 'multipart/form-data'

const GUID = new RegExp(ASSET_GUID_PATTERN)
const MAX_FIELD_BYTES = 64 * 1024
const OCTETS = 'application/octet-stream'
/** The fields of a job that may be parts of their own, and how the text of each is converted. */
const FIELDS: Readonly<Record<string, (text: string) => unknown>> = {
  request_id: String,
  asset_guid: String,
  master_uri: String,
  site: String,
  lane: String,
  tenant: String,
  strict: booleanOf,
  title: String,
  artist: String,
  file_name: String,
  release_id: numberOf,
  asset_id: numberOf,
  derivative_assets: idsOf,
}

export const formSchema = {
  type: 'object',
  properties: {
    file: {
      type: 'string',
      format: 'binary',
      description: 'The master. Without it the master is found as with any other job.',
    },
    job: {
      type: 'string',
      description: 'An EncodeJob as JSON; all may be left out.',
      examples: ['{"derivative_assets":["bpm","key"]}'],
    },
    asset_guid: { type: 'string', description: "Else made of the file's name and content." },
    derivative_assets: {
      type: 'string',
      description: 'The ids of the assets, separated by commas, or as a list of JSON.',
    },
    lane: {
      type: 'string',
      enum: [...LANES],
      description: 'How soon it is made.',
    },
    strict: {
      type: 'string',
      enum: ['true', 'false'],
      description: 'Whether a master that has warnings is refused.',
    },
    title: { type: 'string', description: 'The title of the track.' },
    artist: { type: 'string', description: 'The artist of the track.' },
  },
}

/** What a job that comes with its master needs. */
export interface FormDeps {
  readonly config: Pick<Config, 'max_upload_mib'>
  readonly submissions: Submissions
  readonly replacements: Replacements
  readonly uploads: Uploads
  /** Aborts when uploads under way have to be given up. */
  readonly aborting: AbortSignal
}

/**
 * Accepts a multipart form: the master and the job, in any order; either may be missing. The file is streamed
 * into the uploads store. Once it is stored, the job is handed on with its `master_uri`.
 */
export async function jobFromForm(request: FastifyRequest, deps: FormDeps): Promise<Accepted> {
  const { submissions, aborting } = deps
  const { tenant } = request
  const { job, file } = await readForm(request, deps)
  try {
    if (file === undefined) return await submissions.submit(job, tenant, traceparentOf(request))
    if ('master_uri' in job) {
      throw new HttpError(
        'BAD_REQUEST',
        'The form has both a file and a master_uri; expected one of them.',
        { at: '/master_uri' },
      )
    }
    const { sha256, name, incoming } = file
    const given = trackOf(job)
    const guid = given ?? guidOfFile(name, sha256)
    // The contract then refuses an asset_guid that does not match its pattern.
    const master_uri = GUID.test(guid) ? deps.uploads.uri(guid, sha256) : undefined
    const asset_guid = job.asset_guid ?? guid
    const file_name = job.file_name ?? (cleanFileName(name) || undefined)
    // Checked before the file is kept, so that a refused job leaves nothing behind.
    const named = { ...job, asset_guid, file_name, master_uri }
    const accepted = await submissions.check(named, tenant)
    const arriving = { guid, sha256, by: request.caller, signal: aborting }
    const replaces = given === undefined ? undefined : await deps.replacements.check(arriving)
    await incoming.keep(accepted.request.asset_guid, aborting)
    const answer = await submissions.handOn(accepted, traceparentOf(request))
    return replaces === undefined ? answer : { ...answer, replaces }
  } finally {
    await file?.incoming.discard()
  }
}

interface Form {
  readonly job: Record<string, unknown>
  readonly file:
    | { readonly incoming: Incoming; readonly sha256: string; readonly name: string }
    | undefined
}

async function readForm(request: FastifyRequest, deps: FormDeps): Promise<Form> {
  const mostBytes = deps.config.max_upload_mib * 1024 * 1024
  const limits = {
    fileSize: mostBytes,
    files: 23,
    parts: 23,
    fieldNameSize: 100,
    headerPairs: 20,
  }
  const fields = new Map<string, unknown>()
  let job: Record<string, unknown> | undefined
  let file: Form['file']
  try {
    // All parts are read as bytes. Text that the parser decodes would have U+FFFD where it was not UTF-8.
    for await (const part of request.parts({ limits, isPartAFile: () => true })) {
      if (part.type !== 'file') continue
      const name = part.fieldname ?? ''
      const isFile = part.filename !== undefined || part.mimetype === OCTETS
      if (isFile && name !== 'job') {
        if (file !== undefined || name !== 'file') throw unexpectedFile(part)
        file = await received(part, mostBytes, deps)
        continue
      }
      const value = await contentOf(part)
      // Browsers send empty fields as empty text.
      if (value === '' && !isFile) continue
      if (name === 'job') {
        if (job !== undefined) throw twice('job')
        job = jobOf(value)
      } else addField(fields, name, value)
    }
    for (const [name, value] of fields) {
      if (job !== undefined && Object.hasOwn(job, name)) throw twice(name)
      job = { ...job, [name]: value }
    }
    if (job === undefined && file === undefined) {
      throw new HttpError(
        'BAD_REQUEST',
        'The form is empty; expected a part called file with the master, or job with an EncodeJob, or both.',
      )
    }
    return { job: job ?? {}, file }
  } catch (error) {
    await file?.incoming.discard()
    throw error
  }
}

async function received(
  part: MultipartFile,
  mostBytes: number,
  { uploads, aborting }: FormDeps,
): Promise<Form['file']> {
  if (part.filename?.includes('\uFFFD')) {
    throw new HttpError('BAD_REQUEST', "The file's name is not UTF-8.", {
      at: 'part file',
    })
  }
  const incoming = await uploads.receive(part.file, { mostBytes, signal: aborting })
  if (part.file.truncated || incoming.bytes === 0) {
    await incoming.discard()
    if (part.file.truncated) throw tooLarge(mostBytes)
    // Browsers send an empty file name when no file was chosen.
    if (!part.filename) return undefined
    const name = JSON.stringify(part.filename.slice(0, 200))
    throw emptyMaster(`The file ${name}`, { at: 'part file' })
  }
  return { incoming, sha256: incoming.sha256, name: part.filename ?? '' }
}

/** The content of a part other than the master: JSON if the part declares it, else text. */
async function contentOf({ fieldname, mimetype, file }: MultipartFile): Promise<unknown> {
  const name = (fieldname ?? '').slice(0, 100)
  const at = { at: `part ${name}` }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of file) {
    bytes += chunk.length
    if (bytes > MAX_FIELD_BYTES) throw new HttpError('TOO_LARGE', fieldLimit(), at)
    chunks.push(chunk)
  }
  const content = Buffer.concat(chunks)
  if (mimetype.startsWith('application/json')) return json(content, `The part ${name}`)
  try {
    return utf8(content)
  } catch {
    throw new HttpError('BAD_REQUEST', `The part ${name} is not UTF-8.`, at)
  }
}

function fieldLimit(): string {
  return `The part is longer than ${MAX_FIELD_BYTES} bytes; only the file may be.`
}

function jobOf(value: unknown): Record<string, unknown> {
  const job = typeof value === 'string' ? json(Buffer.from(value), 'The part job') : value
  if (typeof job === 'object' && job !== null && !Array.isArray(job)) {
    return job as Record<string, unknown>
  }
  throw new PermanentError('NOT_AN_ENCODE_JOB', 'The part job is no JSON object.', {
    at: 'part job',
  })
}

function addField(fields: Map<string, unknown>, name: string, value: unknown): void {
  const read = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
  if (read === undefined) {
    throw new HttpError(
      'BAD_REQUEST',
      `There is no field ${JSON.stringify(name.slice(0, 100))}; expected file, job, ${Object.keys(FIELDS).join(', ')}.`,
      { at: `part ${name.slice(0, 100)}` },
    )
  }
  const given = typeof value === 'string' ? read(value) : value
  const before = fields.get(name)
  if (before !== undefined && name !== 'derivative_assets') throw twice(name)
  fields.set(name, before === undefined ? given : [before, given].flat())
}

function unexpectedFile({ fieldname }: MultipartFile): HttpError {
  return new HttpError(
    'BAD_REQUEST',
    fieldname === 'file'
      ? 'The form has a second file; expected one master.'
      : `The file is in the field ${JSON.stringify(fieldname.slice(0, 100))}; expected file.`,
    { at: `part ${fieldname.slice(0, 100)}` },
  )
}

function twice(name: string): HttpError {
  return new HttpError('BAD_REQUEST', `${name} is given twice.`, { at: `part ${name}` })
}

/** Ids separated by commas or spaces, or a list of JSON as the same field has in an EncodeJob. */
function idsOf(text: string): unknown {
  if (text.trimStart().startsWith('['))
    return json(Buffer.from(text), 'The part derivative_assets')
  return text.split(/[\s,]+/).filter((id) => id !== '')
}

function numberOf(text: string): unknown {
  return /^-?\d+$/.test(text.trim()) ? Number(text) : text
}

/** Converts `true` and `false`. Any other text stays as it is, and the contract refuses it. */
function booleanOf(text: string): unknown {
  return { true: true, false: false }[text.trim()] ?? text
}
