import { setTimeout as sleep } from 'node:timers/promises'
import type {
  DeadLetter,
  DeadLetterPage,
  RedriveResult,
  RedriveResults,
  WholeDeadLetter,
} from '#shared/contracts/api/dead-letter.ts'
import { CHAIN } from '#shared/contracts/stages.ts'
import { Refused } from '../../../client/client.ts'
import { type Api, apiAt, TARGET_HELP, targetOf } from '../../../client/target.ts'
import { type Output, TERMINAL } from '../../../terminal/output.ts'
import { printable, printableJson } from '../../../terminal/text.ts'
import { count, parsed, UsageError } from '../../../terminal/usage.ts'
import { FLAGS, filterOf, ids, rateFrom } from './flags.ts'
import { printed, printedWhole, resultLine } from './print.ts'

const HELP = `npx trackchain dead-letters COMMAND: jobs and messages that failed for good.

  list                   the letters, the latest first
  show ID                one letter whole: reason, job, attributes, body
  redrive ID… | FILTER   publishes the job in each letter again, as its next run: what exists is
                         skipped, the rest is made. A letter is redriven once
  discard ID…            keeps a letter, marked as one that needs no more attention

Filters of list and redrive; all that are given must hold:
  --step STEP      ${CHAIN.join(', ')}, recorder
  --code CODE      the reason, e.g. MASTER_NOT_FOUND (GET /v1/errors lists them)
  --asset ASSET    an asset that the job asks for, e.g. aac-128
  --track GUID     the track
  --before WHEN    dead-lettered before a time, 2026-01-31T12:00:00Z, or longer ago than 90s, 30m, 2h, 7d

  --state STATE    list: open (the default), redriven, discarded or all
  --limit N        list, redrive: maximum of letters (100; redrive: all)
  --all            redrive: every open letter, without a filter
  --rate N         redrive: letters a second (10)
  --dry-run        redrive: print what would be done, and do nothing
  --reason TEXT    discard: why; it goes into the history

${TARGET_HELP}
                   (scopes: read to look, operate to redrive and discard)
  --json           one JSON document on stdout
  --help           show this help

List the letters, try the redrive, then do it:
  npx trackchain dead-letters list --code MASTER_NOT_FOUND
  npx trackchain dead-letters redrive --code MASTER_NOT_FOUND --dry-run
  npx trackchain dead-letters redrive --code MASTER_NOT_FOUND --rate 5

Exit codes: 0 success; 1 something was refused, or the API did not answer; 2 usage; 130 interrupted.
`

const COMMANDS = { list, show, redrive, discard } as const

/** Letters in one request, so that each request is answered within seconds. */
const DEFAULT_LETTERS = 100

type Speech = Pick<Output, 'say' | 'note'>

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function deadLetters(
  [name = '', ...args]: readonly string[],
  output: Speech = TERMINAL,
): Promise<number> {
  if (['', 'help', '--help', '-h'].includes(name) || args.some((arg) => isHelp(arg))) {
    output.say(HELP)
    return 0
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    const there = Object.keys(COMMANDS).join(', ')
    throw new UsageError(`There is no command ${name}; there are ${there}. --help tells more.`)
  }
  try {
    return await COMMANDS[name as keyof typeof COMMANDS](args, output)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    output.note(printable(error.message))
    return 1
  }
}

/** The command `redrive`, the same as `dead-letters redrive`. */
export function redriveAlone(args: readonly string[]): Promise<number> {
  return deadLetters(['redrive', ...args])
}

async function list(args: readonly string[], { say, note }: Speech): Promise<number> {
  const { values } = parsed(args, FLAGS.list)
  const api = apiAt(targetOf(values))
  const query = new URLSearchParams(filterOf(values))
  if (values.state !== undefined) query.set('state', values.state)
  query.set('limit', String(count('limit', values.limit, 1000) ?? DEFAULT_LETTERS))
  const page = await api<DeadLetterPage>(`/v1/dead-letters?${query}`)
  if (values.json) say(printableJson(page))
  else if (page.letters.length === 0) say('No such letters.')
  else say(page.letters.map((letter) => printed(letter)).join('\n'))
  if (page.next !== null && !values.json) note('There are more: --limit shows up to 1000.')
  return 0
}

async function show(args: readonly string[], { say }: Speech): Promise<number> {
  const { values, positionals } = parsed(args, FLAGS.show, true)
  const [id, ...others] = ids(positionals)
  if (id === undefined || others.length > 0) throw new UsageError('show takes one ID.')
  const letter = await apiAt(targetOf(values))<WholeDeadLetter>(`/v1/dead-letters/${id}`)
  say(values.json ? printableJson(letter) : printedWhole(letter))
  return 0
}

async function redrive(args: readonly string[], { say, note }: Speech): Promise<number> {
  const { values, positionals } = parsed(args, FLAGS.redrive, true)
  const filter = filterOf(values)
  const isFilter = Object.keys(filter).length > 0 || values.all
  if (isFilter === positionals.length > 0) {
    throw new UsageError(
      'redrive takes either IDs or a filter; --all stands for every open letter.',
    )
  }
  const which = isFilter ? { filter } : { ids: ids(positionals) }
  const pace = { rate: rateFrom(values.rate), dry_run: values['dry-run'] }
  const most = count('limit', values.limit, 1_000_000_000) ?? Infinity
  const onResult = (result: RedriveResult) => values.json || say(resultLine(result))
  const { results, left, not_redrivable } = await redriveAll(
    apiAt(targetOf(values)),
    { which, pace, most },
    onResult,
  )
  const are = (wanted: RedriveResult['status']) =>
    results.filter(({ status }) => status === wanted).length
  const [redriven, redrivable, refused] = [are('redriven'), are('redrivable'), are('refused')]
  const counts = values['dry-run'] ? { redrivable } : { redriven }
  const summary = { ...counts, refused, left, not_redrivable }
  if (values.json) say(printableJson({ ...summary, results }))
  else note(summaryLine(summary))
  return refused > 0 ? 1 : 0
}

async function discard(args: readonly string[], { say }: Speech): Promise<number> {
  const { values, positionals } = parsed(args, FLAGS.discard, true)
  const { reason = '' } = values
  if (positionals.length === 0) throw new UsageError('discard takes one ID or several.')
  if (reason.trim() === '') throw new UsageError('discard needs a --reason: it is kept.')
  const api = apiAt(targetOf(values))
  const letters: DeadLetter[] = []
  for (const id of ids(positionals)) {
    const letter = await api<DeadLetter>(`/v1/dead-letters/${id}/discard`, { reason })
    letters.push(letter)
    if (!values.json) say(`discarded  ${id}`)
  }
  if (values.json) say(printableJson({ letters }))
  return 0
}

/** Repeats the request until no letter is left: one request ends after a while. */
async function redriveAll(
  api: Api,
  {
    which,
    pace,
    most,
  }: {
    which: { filter: object } | { ids: readonly string[] }
    pace: { rate: number; dry_run: boolean }
    most: number
  },
  onResult: (result: RedriveResult) => void,
): Promise<Pick<RedriveResults, 'results' | 'left' | 'not_redrivable'>> {
  const results: RedriveResult[] = []
  const done = new Set<string>()
  for (;;) {
    const limit = Math.min(most - results.length, pace.dry_run ? 1000 : DEFAULT_LETTERS)
    const next =
      'ids' in which
        ? { ids: which.ids.filter((id) => !done.has(id)).slice(0, limit) }
        : { ...which, limit }
    const answer = await api<RedriveResults>('/v1/dead-letters/redrive', { ...next, ...pace })
    for (const result of answer.results) {
      results.push(result)
      done.add(result.id)
      onResult(result)
    }
    const { not_redrivable } = answer
    if (pace.dry_run) {
      const shown = 'ids' in which ? 0 : results.length
      return { results, left: answer.left - shown, not_redrivable }
    }
    const left = 'ids' in which ? which.ids.length - done.size : answer.left
    const goesOn = answer.results.length > 0 && results.length < most && left > 0
    if (!goesOn) return { results, left, not_redrivable }
    await sleep(1000 / pace.rate)
  }
}

function summaryLine(counts: Readonly<Record<string, number>>): string {
  const { redriven = 0, redrivable, refused = 0, left = 0, not_redrivable = 0 } = counts
  const parts = [
    redrivable === undefined ? `${redriven} redriven` : `${redrivable} would be redriven`,
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(left > 0 ? [`${left} left`] : []),
    ...(not_redrivable > 0 ? [`${not_redrivable} without a job in them`] : []),
  ]
  return `${parts.join(', ')}.`
}

function isHelp(arg: string): boolean {
  return arg === '--help' || arg === '-h'
}
