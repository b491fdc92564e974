import { type Derivative, MAX_RESULT_BYTES, type Rendered } from '#shared/assets/definition.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { sourceOf } from '#shared/audio/ranged.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { CoreTime } from '#shared/frame/telemetry/cpu-time.ts'
import { analyzeTools } from '../../services/analyze/tools.ts'
import type { WorkerPool } from '../../services/analyze/worker-pool.ts'
import { encodeTools } from '../../services/encode/tools.ts'
import { inMemory, int16 } from '../support/audio.ts'
import { bytesOf } from '../support/bytes.ts'
import { timeLimit } from '../support/patience.ts'
import { club } from '../support/synth.ts'

/** One thing that a definition has to do. */
interface Finding {
  readonly what: string
  readonly holds: boolean
  /** Why it does not hold, if something was thrown. */
  readonly why?: string
}

/** What making an asset took on this machine, as the `cost` of a definition. */
export type Measured = Required<Omit<Derivative['cost'], 'mostMs'>>

export type Files = Readonly<Record<string, Buffer>>

/** An asset that is not cut needs no more than that. */
const WHOLE_SECONDS = 40
/** One that is cut gets a track of a cell and this, and of no more than the last number: the built-in cells fit in. */
const BEYOND_SECONDS = 12
const LONGEST_SECONDS = 250

const tracks = new Map<number, PcmSource>()
function trackOf(seconds: number): PcmSource {
  const made = tracks.get(seconds) ?? clubOf(seconds)
  tracks.set(seconds, made)
  return made
}

/** Drums and chords that change, so that any asset has something to find; the same again after half a minute. */
function clubOf(seconds: number): PcmSource {
  return inMemory(int16(club(30 * SAMPLE_RATE)), seconds * SAMPLE_RATE)
}

/** What a definition can be examined with, and what was made on the way. */
interface Bench {
  readonly pool: WorkerPool
  /** Called with the files of the longest track, and what they took. */
  readonly onMade?: (files: Files, measured: Measured) => void
}

/** Examines a definition: every finding has to hold. What is thrown is a finding, too. */
export async function* examined(asset: Derivative, bench: Bench): AsyncGenerator<Finding> {
  try {
    yield* findings(asset, bench)
  } catch (error) {
    yield { what: 'makes its files of a sound track', holds: false, why: sentence(error) }
  }
}

async function* findings(asset: Derivative, { pool, onMade }: Bench): AsyncGenerator<Finding> {
  const seconds = secondsFor(asset)
  const long = trackOf(seconds)
  const names = Object.keys(asset.files).sort().join(', ')
  const namesOf = (files: Files) => Object.keys(files).sort().join(', ')

  const made = await make(asset, long, 1000, pool)
  yield { what: `makes the files that it promises: ${names}`, holds: namesOf(made) === names }
  for (const [extension, bytes] of Object.entries(made))
    yield { what: `.${extension} has bytes`, holds: bytes.length > 0 }
  const [again, longMs] = await timed(() => make(asset, long, 1, pool))
  yield {
    what:
      'render' in asset
        ? 'makes the same bytes each time'
        : 'makes the same bytes however it is cut into parts',
    holds: isSame(made, again),
  }
  if (asset.result) {
    const [first = Buffer.alloc(0)] = Object.keys(asset.files).map((key) => made[key])
    yield {
      what: `the result has at most ${MAX_RESULT_BYTES} bytes`,
      holds: first.length <= MAX_RESULT_BYTES,
    }
    yield { what: 'the result is a JSON document', holds: isJson(first) }
  }

  const tiny = sourceOf(1, async () => new Int16Array(2))
  const [one, tinyMs] = await timed(() => make(asset, tiny, 1, pool))
  yield { what: 'makes its files of one silent sample, too', holds: namesOf(one) === names }

  const gone = AbortSignal.abort(new Error('the node is going'))
  const tools = toolsFor(asset, long, gone, pool)
  const aborted: Promise<unknown> =
    'render' in asset ? asset.render(tools) : asset.part({ start: 0, end: long.samples }, tools)
  const gaveUp = await aborted.then(
    () => false,
    () => true,
  )
  yield { what: 'gives up when the signal aborts', holds: gaveUp }

  const [bytes, least] = [made, one].map((files) =>
    Object.values(files).reduce((sum, file) => sum + file.length, 0),
  ) as [number, number]
  onMade?.(made, {
    fixedMs: Math.ceil(tinyMs),
    msPerSecond: rounded(Math.max(0, longMs - tinyMs) / seconds),
    fixedBytes: Math.min(least, bytes),
    bytesPerSecond: Math.ceil(Math.max(0, bytes - least) / seconds),
  })
}

function secondsFor(asset: Derivative): number {
  if ('render' in asset) return WHOLE_SECONDS
  const two = Math.ceil(asset.grid / SAMPLE_RATE) + BEYOND_SECONDS
  return Math.min(LONGEST_SECONDS, Math.max(WHOLE_SECONDS, two))
}

function toolsFor(
  asset: Derivative,
  pcm: PcmSource,
  signal: AbortSignal,
  pool: WorkerPool,
): never {
  return (
    asset.stage === 'analyze' ? analyzeTools({ pcm, signal, pool }) : encodeTools(pcm, signal)
  ) as never
}

/** Makes the asset in parts of `cells` grid cells each. */
async function make(
  asset: Derivative,
  pcm: PcmSource,
  cells: number,
  pool: WorkerPool,
): Promise<Files> {
  const tools = toolsFor(asset, pcm, timeLimit(60_000), pool)
  const rendered: Rendered =
    'render' in asset
      ? await asset.render(tools)
      : await asset.join(await partsOf(asset, pcm, cells, tools), tools)
  const files = Object.entries(rendered).map(async ([key, file]) => [key, await bytesOf(file)])
  return Object.fromEntries(await Promise.all(files))
}

async function partsOf(
  asset: Extract<Derivative, { grid: number }>,
  pcm: PcmSource,
  cells: number,
  tools: never,
): Promise<readonly Uint8Array[]> {
  const parts: Uint8Array[] = []
  for (let start = 0; start < pcm.samples; start += cells * asset.grid) {
    const end = Math.min(pcm.samples, start + cells * asset.grid)
    parts.push(await asset.part({ start, end }, tools))
  }
  return parts
}

/** The core time that something takes, that of its child processes included, ms. */
async function timed<T>(act: () => Promise<T>): Promise<[T, number]> {
  const charged = new CoreTime().begin()
  const result = await act()
  return [result, charged.end()]
}

function isSame(a: Files, b: Files): boolean {
  return Object.keys(a).every((key) => a[key]?.equals(b[key] ?? Buffer.alloc(0)))
}

function isJson(bytes: Buffer): boolean {
  try {
    return typeof JSON.parse(bytes.toString()) === 'object'
  } catch {
    return false
  }
}

/** To three significant digits. */
function rounded(value: number): number {
  return Number(value.toPrecision(3))
}
