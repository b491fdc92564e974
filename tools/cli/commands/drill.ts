import { randomInt } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findMasters } from '../../client/masters.ts'
import { isGood, printed } from '../../drill/report.ts'
import { type DrillWishes, runDrill } from '../../drill/run-drill.ts'
import { OTHERS } from '../../drill/schedule.ts'
import { registryFrom } from '../../local/check-derivatives.ts'
import type { Chain } from '../../local/supervisor.ts'
import { interruptible } from '../../terminal/interrupt.ts'
import { parsed, pathFrom, UsageError } from '../../terminal/usage.ts'

const HELP = `npm run drill [-- FLAGS]: tracks through the whole chain while its processes are killed.

Runs the tracks through a chain of its own, undisturbed; then through another one, on a schedule that
the seed decides: SIGKILL at random instants of services, of the Pub/Sub server, of the database and of
all at once, SIGTERM, SIGSTOP past the lease, copies of messages in another order. Reports what was lost,
what is wrong and what is duplicated. docs/tasks/drill.md explains the numbers.

  --tracks N       number of tracks (20)
  --kills K        instants at which a process is killed (20); 0: undisturbed
  --cancels N      more tracks, whose jobs are cancelled while the chain is disturbed (a fifth of --tracks)
  --seed S         a whole number (default: random, and printed)
  --every SECONDS  mean time between two kills (1.5)
  --also LIST      other disturbances, of term,stop,copies (all), or none
  --seconds S      mean length of the synthesised tracks (15)
  --audio DIR      masters to use first (docs/reference/masters.md)
  --assets LIST    ids of the assets to make (aac-128,bpm,key,loudness,waveform)
  --target-ms MS   the cost of a planned step: a lower one fans a track out into more steps
  --derivatives DIR  a folder with derivative assets of your own
  --target URL     the API of a deployment to send each track to, twice. You disturb the deployment
                   yourself; the two results must be equal. DRILL_TOKEN holds its token, if it needs one
  --json           the report as JSON, one object on the last line
  --keep           keep the data folders, and print their paths
  --verbose        report each process that dies
  --help           show this help

Exit codes: 0 nothing is lost, wrong or duplicated; 1 something is; 2 usage; 130 interrupted.
`

const OPTIONS = {
  tracks: { type: 'string', default: '20' },
  kills: { type: 'string', default: '20' },
  cancels: { type: 'string' },
  seed: { type: 'string' },
  every: { type: 'string', default: '1.5' },
  also: { type: 'string', default: OTHERS.join() },
  seconds: { type: 'string', default: '15' },
  audio: { type: 'string' },
  assets: { type: 'string', default: 'aac-128,bpm,key,loudness,waveform' },
  'target-ms': { type: 'string' },
  derivatives: { type: 'string' },
  target: { type: 'string' },
  json: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** @returns the exit code. */
export async function drill(args: readonly string[]): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const wanted = await wishes(values)
  let chain: Chain | undefined
  const signal = interruptible(() => chain?.kill())
  const say = (text: string) => process.stderr.write(`${text}\n`)
  const home = await mkdtemp(join(tmpdir(), 'trackchain-drill-'))
  let isDone = false
  try {
    // The account of the database has to pass through this folder.
    await chmod(home, 0o711)
    const report = await runDrill({
      wanted,
      home,
      say,
      signal,
      onChain: (started) => {
        chain = started
      },
    })
    isDone = isGood(report)
    process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : printed(report))
    return isDone ? 0 : 1
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    const isWanted = values.keep || !(isDone || signal.aborted)
    if (isWanted) say(`Databases, queues, assets and logs are in ${home}`)
    else await rm(home, { recursive: true, force: true })
  }
}

type Values = ReturnType<typeof parsed<typeof OPTIONS>>['values']

/** What the flags ask for. @throws UsageError that names the flag. */
async function wishes(values: Values): Promise<DrillWishes> {
  const { derivatives, target } = values
  const count = whole('tracks', values.tracks, 1, 100_000)
  const kills = whole('kills', values.kills, 0, 1_000_000)
  const seed =
    values.seed === undefined ? randomInt(2 ** 31) : whole('seed', values.seed, 0, 2 ** 32 - 1)
  if (target !== undefined && !/^https?:\/\/[^/]/.test(target))
    throw new UsageError(`--target must be the URL of an API, got ${target}.`)
  const folder = derivatives === undefined ? undefined : pathFrom(derivatives)
  return {
    seed,
    count,
    kills,
    cancels:
      values.cancels === undefined
        ? Math.ceil(count / 5)
        : whole('cancels', values.cancels, 0, 100_000),
    derivatives: folder,
    everyMs: 1000 * positive('every', values.every),
    also: values.also === 'none' ? [] : listed('also', values.also, OTHERS),
    seconds: positive('seconds', values.seconds),
    given: values.audio === undefined ? [] : await findMasters([pathFrom(values.audio)]),
    // Which assets a deployment offers is known to the deployment alone.
    assets: listed(
      'assets',
      values.assets,
      target === undefined ? [...(await registryFrom(folder)).keys()] : undefined,
    ),
    targetMs:
      values['target-ms'] === undefined
        ? undefined
        : whole('target-ms', values['target-ms'], 100, 10_000),
    target: target?.replace(/\/+$/, ''),
    token: process.env.DRILL_TOKEN,
    isVerbose: values.verbose,
  }
}

function whole(flag: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new UsageError(
    `--${flag} must be a whole number from ${least} to ${most}, got ${text}.`,
  )
}

function positive(flag: string, text: string): number {
  const value = Number(text)
  if (text !== '' && value > 0 && Number.isFinite(value)) return value
  throw new UsageError(`--${flag} must be a number of seconds above 0, got ${text}.`)
}

function listed<T extends string>(flag: string, text: string, known?: readonly T[]): T[] {
  const items = text.split(',').filter((item) => item !== '') as T[]
  const unknown = items.find((item) => known !== undefined && !known.includes(item))
  if (unknown === undefined && items.length > 0) return [...new Set(items)]
  throw new UsageError(
    `--${flag} must be a list of ${known?.join(', ') ?? 'ids'}, got ${unknown ?? 'nothing'}.`,
  )
}
