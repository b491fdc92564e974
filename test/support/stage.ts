import { mergedWarnings, type Warning } from '#shared/contracts/warnings.ts'
import type { MasterBytes } from '../../services/stage/formats/byte-window.ts'
import { survey } from '../../services/stage/formats/survey.ts'
import { samplesAt44100, stageRange } from '../../services/stage/resample/range.ts'
import { stageStream } from '../../services/stage/resample/stream.ts'
import { stageMaster } from '../../services/stage/resample/whole-master.ts'
import { timeLimit } from './patience.ts'
import { RATE } from './synth.ts'

interface Outcome {
  readonly layout: Surveyed
  readonly samples: number
  readonly left: Int16Array
  readonly right: Int16Array
  readonly parts: readonly Part[]
  /** What its header, its length and the way to its end show to be missing or wrong. */
  readonly warnings: readonly Warning[]
}

export type Part = readonly [start: number, end: number, wav: Uint8Array]

type Surveyed = Awaited<ReturnType<typeof survey>>

interface Wishes {
  /** What a survey of the same master has found, where one was made: it starts an ffmpeg. */
  readonly layout?: Surveyed
  readonly partSamples?: number
  readonly mostSamples?: number
  readonly read?: MasterBytes['read']
  readonly write?: () => Promise<void>
}

/** A whole master, staged at once. */
export async function stage(
  master: Buffer,
  { layout: surveyed, read, write, ...options }: Wishes = {},
): Promise<Outcome> {
  const file = bytesOf(master, read)
  const parts: Part[] = []
  const keep = keepIn(parts)
  const layout = surveyed ?? (await survey(bytesOf(master), soon()))
  const staged = await stageMaster(layout, {
    ...{ file, signal: soon(), ...options },
    write: write ?? keep,
  })
  const left = new Int16Array(staged.samples)
  const right = new Int16Array(staged.samples)
  for (const [start, end, part] of parts) {
    const view = new DataView(part.buffer, part.byteOffset + 44)
    for (let i = start; i < end; i++) {
      left[i] = view.getInt16(4 * (i - start), true)
      right[i] = view.getInt16(4 * (i - start) + 2, true)
    }
  }
  const warnings = mergedWarnings(layout.warnings, staged.warnings)
  return { layout, samples: staged.samples, left, right, parts, warnings }
}

/** For one conversion of a few seconds, on a machine that has other things to do. */
export const soon = () => timeLimit(30_000)

export function bytesOf(
  master: Buffer,
  read: MasterBytes['read'] = async (start, end) => master.subarray(start, end),
): MasterBytes {
  return {
    bytes: master.length,
    read,
    async *stream(start, end) {
      for (let at = start; at < end; at += 99_991)
        yield await read(at, Math.min(end, at + 99_991))
    },
  }
}

export function keepIn(parts: Part[]) {
  return async (start: number, end: number, wav: Uint8Array) => {
    parts.push([start, end, Uint8Array.from(wav)])
  }
}

export function scaled(channel: Float64Array): Float64Array {
  return channel.map((x) => x * 32_768)
}

/** The parts of a master that is cut into ranges of `stepSeconds` seconds, each a conversion of its own. */
export async function inRanges(master: Buffer, stepSeconds: number, surveyed?: Surveyed) {
  const file = bytesOf(master)
  const layout = surveyed ?? (await survey(file, soon()))
  const parts: Part[] = []
  const common = () => ({ file, signal: soon(), partSamples: RATE, write: keepIn(parts) })
  const step = stepSeconds * RATE
  if (layout.kind === 'coded') {
    for (let start = 0, isOver = false; !isOver; ) {
      const range = { start, end: start + step, mostSamples: Number.POSITIVE_INFINITY }
      ;({ isOver, end: start } = await stageStream(layout, { ...common(), ...range }))
    }
    return parts
  }
  const samples = samplesAt44100(layout)
  for (let start = 0; start < samples; start += step) {
    await stageRange(layout, { ...common(), start, end: Math.min(samples, start + step) })
  }
  return parts
}
