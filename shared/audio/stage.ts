import { PermanentError } from '../errors.ts'
import type { ReadRange } from './byte-window.ts'
import { stereoMix } from './downmix.ts'
import { convert } from './ffmpeg.ts'
import { describeLayout, type FlacLayout, frameBytes, type Layout } from './layout.ts'
import { SAMPLE_RATE } from './pcm.ts'
import { wavPart } from './wav-part.ts'

export interface Staged {
  /** Length of the track in samples at 44.1 kHz. */
  readonly samples: number
  /** Length of every part but the last. */
  readonly partSamples: number
}

export interface StageOptions {
  readonly layout: Layout
  /** Length of the master, bytes. */
  readonly bytes: number
  readonly read: ReadRange
  /** Keeps the samples [start, end), a WAV file. Called in order, one at a time. */
  readonly write: (start: number, end: number, wav: Uint8Array) => Promise<void>
  readonly signal: AbortSignal
  /** 60 s unless told. */
  readonly partSamples?: number
  /** 60 min unless told. */
  readonly maxSeconds?: number
}

/**
 * Makes WAV parts of 16-bit 44.1 kHz stereo out of a master that is something else.
 *
 * n samples at rate r become round(n × 44100 / r). Numbers are rounded to 16 bits without dither,
 * so that silence stays silence and the same master gives the same bytes; beyond full scale they clip,
 * and what is no number at all becomes 0.
 * @throws PermanentError TOO_LONG_TO_STAGE before any work; MASTER_UNREADABLE when a FLAC stream
 * does not hold what its header says.
 */
export async function stageMaster(options: StageOptions): Promise<Staged> {
  const { layout, write, signal } = options
  const partSamples = options.partSamples ?? 60 * SAMPLE_RATE
  const maxSeconds = options.maxSeconds ?? 3600
  checkLength(layout, layout.samples / layout.rate, maxSeconds)
  const samples = layout.samples ? scaled(layout.samples, layout.rate) : undefined
  const tail = layout.rate === SAMPLE_RATE || samples === undefined ? 0 : TAIL_SAMPLES
  const converted = convert(
    input(options),
    {
      format: layout.kind === 'flac' ? 'flac' : rawFormat(layout),
      rate: layout.rate,
      channels: layout.channels,
      mix: stereoMix(layout.channels, layout.mask),
      tail,
      maxSeconds: (layout.samples ? layout.samples / layout.rate : maxSeconds) + 1,
    },
    signal,
  )

  const parts = new Parts(partSamples, samples ?? Number.POSITIVE_INFINITY, write)
  for await (const piece of converted) await parts.add(piece)
  const came = parts.samples - (tail && scaled(tail, layout.rate))
  if (samples === undefined) checkLength(layout, came / SAMPLE_RATE, maxSeconds)
  else checkCount(layout, came, samples)
  if (came <= 0) {
    throw new PermanentError('MASTER_UNREADABLE', 'the FLAC stream holds no samples')
  }
  await parts.finish(samples ?? came)
  return { samples: samples ?? came, partSamples }
}

function checkLength(layout: Layout, seconds: number, maxSeconds: number): void {
  if (seconds <= maxSeconds) return
  throw new PermanentError(
    'TOO_LONG_TO_STAGE',
    `${describeLayout(layout)} of ${(seconds / 60).toFixed(1)} min; the limit is ${maxSeconds / 60} min`,
  )
}

/** More than the resampler's filter spans at any rate. */
const TAIL_SAMPLES = 8192
/** A resampler may round the length either way; a lost FLAC frame is 16 samples or more. */
const ROUNDING_SAMPLES = 4

function checkCount(layout: Layout, got: number, want: number): void {
  const tolerance = layout.rate === SAMPLE_RATE ? 0 : ROUNDING_SAMPLES
  if (Math.abs(got - want) <= tolerance) return
  if (layout.kind === 'pcm') throw new Error(`ffmpeg gave ${got} samples, not ${want}`)
  throw new PermanentError(
    'MASTER_UNREADABLE',
    `the FLAC stream is damaged or cut short: its header promises ${layout.samples} samples, about ${Math.round((got * layout.rate) / SAMPLE_RATE)} can be decoded`,
  )
}

function scaled(samples: number, rate: number): number {
  return Math.max(1, Math.round((samples * SAMPLE_RATE) / rate))
}

/** As ffmpeg names bare samples. */
function rawFormat(layout: Exclude<Layout, FlacLayout>): string {
  const sign = layout.encoding === 'float' ? 'f' : layout.unsigned ? 'u' : 's'
  const order = layout.bits === 8 ? '' : layout.bigEndian ? 'be' : 'le'
  return `${sign}${layout.bits}${order}`
}

const READ_BYTES = 1 << 20

async function* input({
  layout,
  bytes,
  read,
  signal,
}: StageOptions): AsyncGenerator<Uint8Array> {
  let end = bytes
  if (layout.kind === 'pcm') {
    end = layout.offset + layout.samples * frameBytes(layout)
  } else {
    // Pictures, tags and cue sheets stay behind: the frames need nothing but STREAMINFO.
    yield Buffer.from('fLaC', 'latin1')
    yield Buffer.from([0x80, 0, 0, layout.streamInfo.length])
    yield layout.streamInfo
  }
  for (let at = layout.offset; at < end; at += READ_BYTES) {
    const to = Math.min(end, at + READ_BYTES)
    const piece = await read(at, to, signal)
    if (piece.length !== to - at) {
      throw new Error(`read ${piece.length} bytes at ${at} of the master, not ${to - at}`)
    }
    yield piece
  }
}

/** Rounds what comes to 16 bits and hands it on in parts. */
class Parts {
  /** How many samples came, also beyond the limit. */
  samples = 0
  readonly #pcm: Int16Array
  readonly #limit: number
  readonly #write: StageOptions['write']
  #rest: Buffer = Buffer.alloc(0)
  #start = 0
  #filled = 0

  constructor(partSamples: number, limit: number, write: StageOptions['write']) {
    this.#pcm = new Int16Array(2 * partSamples)
    this.#limit = limit
    this.#write = write
  }

  async add(piece: Buffer): Promise<void> {
    const bytes = this.#rest.length ? Buffer.concat([this.#rest, piece]) : piece
    const whole = bytes.length - (bytes.length % 8)
    this.#rest = bytes.subarray(whole)
    const floats = new Float32Array(Uint8Array.from(bytes.subarray(0, whole)).buffer)
    const wanted = 2 * Math.max(0, Math.min(floats.length / 2, this.#limit - this.samples))
    for (let at = 0; at < wanted; ) {
      const n = Math.min(wanted - at, this.#pcm.length - this.#filled)
      quantize(floats, at, n, this.#pcm, this.#filled)
      at += n
      this.#filled += n
      if (this.#filled === this.#pcm.length) await this.#flush()
    }
    this.samples += floats.length / 2
  }

  /** Hands on what is left, made up to `samples` with silence. */
  async finish(samples: number): Promise<void> {
    const left = 2 * (samples - this.#start)
    this.#pcm.fill(0, this.#filled, left)
    this.#filled = left
    if (left > 0) await this.#flush()
  }

  async #flush(): Promise<void> {
    const end = this.#start + this.#filled / 2
    await this.#write(this.#start, end, wavPart(this.#pcm.subarray(0, this.#filled)))
    this.#start = end
    this.#filled = 0
  }
}

function quantize(
  from: Float32Array,
  at: number,
  n: number,
  to: Int16Array,
  offset: number,
): void {
  for (let i = 0; i < n; i++) {
    const x = Math.floor((from[at + i] ?? 0) * 32_768 + 0.5)
    // A typed array takes what is no number as 0.
    to[offset + i] = Math.max(-32_768, Math.min(32_767, x))
  }
}
