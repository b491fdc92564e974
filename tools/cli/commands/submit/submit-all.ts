import { basename } from 'node:path'
import { orAbort } from '#shared/async/abort.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { cleanFileName, guidOfFile } from '#shared/contracts/file-names.ts'
import type { Lane } from '#shared/contracts/lanes.ts'
import { trackOf } from '#shared/contracts/names.ts'
import type { UncheckedJob } from '#shared/jobs/csv-jobs.ts'
import { type Client, connect, isPassing, Refused } from '../../../client/client.ts'
import { sha256OfFile } from '../../../client/digest.ts'
import { type Followed, follow } from '../../../client/follow.ts'
import type { Target } from '../../../client/target.ts'
import { uploadMaster } from '../../../client/upload.ts'
import { type Bars, bar, drawBars } from '../../../terminal/bars.ts'
import { jsonLine, type Output } from '../../../terminal/output.ts'
import { printable } from '../../../terminal/text.ts'
import { barsOf, changeText } from '../watch/print.ts'
import type { Unreadable, Wanted } from './manifest.ts'
import { type Posted, type Posting, posting } from './post-jobs.ts'
import type { Sources } from './sources.ts'

interface SubmitOptions {
  readonly target: Target
  /** The most jobs a second. */
  readonly rate: number
  /** Assets of jobs that do not name any themselves; undefined: all. */
  readonly assets: readonly string[] | undefined
  /** The lane of jobs that do not name one themselves. Undefined: the API's default. */
  readonly lane: Lane | undefined
  /** Whether masters with warnings are refused, for jobs that do not decide it themselves. */
  readonly isStrict: boolean
  /** Whether a track that has another master may get a new one. */
  readonly mayReplace: boolean
  readonly isWatched: boolean
  readonly asJson: boolean
  readonly signal: AbortSignal
}

export interface Submitted {
  /** How many jobs were taken, by request. */
  readonly submitted: ReadonlyMap<string, number>
  readonly refused: number
  /** The final state of each job, with --watch. */
  readonly states: readonly string[]
  /** How many of their masters have warnings. */
  readonly warned: number
}

/** Concurrent uploads. */
const UPLOADS = 3

/**
 * Uploads and submits all masters, prints the result of each, and with --watch waits until their jobs have ended.
 * @throws Refused; an Error when the API does not answer; the reason of `signal` when it is aborted.
 */
export async function submitAll(
  sources: Sources,
  output: Output,
  options: SubmitOptions,
): Promise<Submitted> {
  const { target, rate, isWatched } = options
  const failing = new AbortController()
  const signal = AbortSignal.any([options.signal, failing.signal])
  const client = connect(target.url, signal, target.token)
  const uploads: Uploads = new Map()
  const submitted = new Map<string, number>()
  let refused = 0
  const began = performance.now()
  const bars = drawBars(output, () => [
    ...[...uploads].map(([from, share]) => bar(share, `${from}: upload`)),
    ...(followed === undefined
      ? [submittedBar(sum(submitted) + refused, sources.count)]
      : barsOf(
          followed.seen.values(),
          (sources.count ?? sum(submitted) + refused) - refused,
          began,
        )),
  ])
  const followed = isWatched ? following(client, bars, output, options) : undefined
  const onPosted = (posted: Posted) => {
    if (posted.code === undefined) {
      const count = (submitted.get(posted.request_id) ?? 0) + 1
      submitted.set(posted.request_id, count)
      followed?.expect(posted.request_id, count)
    } else refused++
    const text = postedText(posted, options, output)
    if (text !== undefined) bars.say(text)
  }
  const jobs = posting(client, { rate, onPosted })
  const contents = new Map<string, string>()
  const taking = { jobs, uploads, contents, onPosted, options: { ...options, signal } }
  tellLeft(sources.left, options, output)
  try {
    const work = Promise.all(
      Array.from({ length: UPLOADS }, async () => {
        for await (const wanted of sources.wanted) await take(wanted, taking)
      }),
    )
    const posted = work.then(() => jobs.end())
    await orAbort(Promise.race([posted, thrownBy(followed?.ended)]), signal)
    followed?.close()
    await followed?.ended
  } catch (error) {
    if (submitted.size > 0) {
      bars.end()
      output.note(`What was submitted goes on. ${howToWatch([...submitted.keys()])}`)
    }
    throw error
  } finally {
    bars.end()
    failing.abort()
  }
  const jobsSeen = [...(followed?.seen.values() ?? [])].map(({ job }) => job)
  const states = jobsSeen.map(({ state }) => state)
  const warned = jobsSeen.filter(({ warnings }) => warnings.length > 0).length
  return { submitted, refused, states, warned }
}

/** The command that watches these requests. */
export function howToWatch(requests: readonly string[]): string {
  const ids = requests.length > 3 ? '--all' : requests.join(' ')
  return `To look on: npx trackchain watch ${ids}`
}

/** The share, 0 to 1, of each file that is being uploaded. */
type Uploads = Map<string, number>

interface Taking {
  readonly jobs: Posting
  readonly uploads: Uploads
  /** The sha256 that each track gets by this command. */
  readonly contents: Map<string, string>
  readonly onPosted: (posted: Posted) => void
  readonly options: SubmitOptions
}

async function take(
  wanted: Wanted | Unreadable,
  { jobs, uploads, contents, onPosted, options }: Taking,
): Promise<void> {
  const { from } = wanted
  if (!('job' in wanted)) {
    const { fault: detail } = wanted
    return onPosted({ from, asset_guid: undefined, code: 'UNREADABLE', detail })
  }
  const { file } = wanted
  const { assets, isStrict, lane, target, signal } = options
  const job: UncheckedJob = {
    ...(assets === undefined ? {} : { derivative_assets: assets }),
    ...(isStrict ? { strict: true } : {}),
    ...(lane === undefined ? {} : { lane }),
    ...wanted.job,
  }
  if (file === undefined) return await jobs.add(job, from)
  let guid: string | undefined
  try {
    const sha256 = await sha256OfFile(file, signal)
    guid = trackOf(job) ?? guidOfFile(file, sha256)
    const { mayReplace } = options
    if (!mayReplace && (contents.get(guid) ?? sha256) !== sha256) throw otherContent(guid)
    contents.set(guid, sha256)
    const { master_uri, replaces } = await uploadMaster(target, guid, file, {
      sha256,
      mayReplace,
      signal,
      onBytes: (done, of) => void uploads.set(from, of === 0 ? 0 : done / of),
    })
    uploads.delete(from)
    const named = { asset_guid: guid, file_name: cleanFileName(basename(file)), ...job }
    await jobs.add({ ...named, master_uri }, from, replaces)
  } catch (error) {
    // An API that does not answer, or refuses the token, is no fault of this file.
    const isOurs = error instanceof Refused && [401, 403].includes(error.status)
    if (signal.aborted || isPassing(error) || isOurs) throw error
    onPosted({ from, asset_guid: guid, ...faultOf(error) })
  } finally {
    uploads.delete(from)
  }
}

function otherContent(guid: string): Refused {
  return new Refused(
    409,
    `OTHER_CONTENT: Another file of this command is the master of ${guid} already; --replace takes the later one.`,
  )
}

/** Prints the skipped files in one line, or with --json in one each. */
function tellLeft(left: readonly string[], { asJson }: SubmitOptions, output: Output): void {
  if (left.length === 0) return
  if (asJson) for (const from of left) output.say(jsonLine({ event: 'skipped', from }))
  else {
    const files = left.length === 1 ? 'a file' : `${left.length} files`
    const like = printable(basename(left[0] ?? ''))
    output.note(`Skipped ${files} that macOS or Windows left there, such as ${like}.`)
  }
}

function faultOf(error: unknown): { code: string; detail: string } {
  if (!(error instanceof Refused)) return { code: 'UNREADABLE', detail: sentence(error) }
  const [code = '', ...words] = error.message.split(': ')
  return { code, detail: words.join(': ') }
}

function following(
  client: Client,
  bars: Bars,
  { screen }: Output,
  { asJson }: SubmitOptions,
): Followed {
  return follow(client, {
    patienceMs: Number.POSITIVE_INFINITY,
    onChange(now, before) {
      const text = changeText(now, before, { asJson, isDrawn: screen !== undefined })
      if (text !== undefined) bars.say(text)
    },
  })
}

/** The line on a posted job; undefined where a bar shows it. */
function postedText(
  posted: Posted,
  { asJson, isWatched }: SubmitOptions,
  { screen }: Output,
): string | undefined {
  const { from, asset_guid, code, replaces } = posted
  if (asJson)
    return jsonLine({ event: code === undefined ? 'submitted' : 'refused', ...posted })
  if (code !== undefined) return printable(`refused   ${from}: ${code}: ${posted.detail}`)
  const other = replaces?.slice(0, 12)
  if (other !== undefined)
    return printable(`submitted ${asset_guid}: replaces other content, sha256 ${other}…`)
  return isWatched && screen !== undefined ? undefined : printable(`submitted ${asset_guid}`)
}

function submittedBar(done: number, all: number | undefined): string {
  return all === undefined
    ? `${done} submitted`
    : bar(done / all, `${done} of ${all} submitted`)
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, count) => all + count, 0)
}

/** Never resolves; rejects when `work` does. */
async function thrownBy(work: Promise<void> | undefined): Promise<never> {
  await work
  return new Promise(() => {})
}
