import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** A club track that is computed: the same bytes every time. */
export interface ClubTrack {
  /** Beats per minute, exactly. */
  readonly bpm: number
  readonly key: string
  readonly camelot: string
  /** Sample rate, Hz. */
  readonly sampleRate: number
  /** Samples of each channel; full scale is 1. */
  readonly left: Float32Array
  readonly right: Float32Array
}

/** Pitches of a chord, semitones above A. */
type Chord = readonly [root: number, third: number, fifth: number]

/** i VI iv V of A minor; the major V with its G sharp distinguishes it from C major. */
const CHORDS: readonly Chord[] = [
  [0, 3, 7],
  [8, 12, 15],
  [5, 8, 12],
  [7, 11, 14],
]
const BEATS_PER_BAR = 4
/** Bars of drums alone at either end, for mixing in and out, and a break without drums: [from, to). */
const ENDS = 4
const BREAK = [16, 20] as const
const A1 = 55

/** Makes a track of `bars` bars of 4/4 in A minor: kick, clap, hats, an off-beat bass line and chords. */
export function clubTrack({ bpm = 126, sampleRate = 48_000, bars = 36 } = {}): ClubTrack {
  const beat = (60 / bpm) * sampleRate
  const samples = Math.round(bars * BEATS_PER_BAR * beat)
  const track = { left: new Float32Array(samples), right: new Float32Array(samples) }
  const noise = generator(1)
  const voices = new Voices(track, sampleRate, noise)

  for (let n = 0; n < bars * BEATS_PER_BAR; n++) {
    const at = n * beat
    const bar = Math.floor(n / BEATS_PER_BAR)
    const chord = CHORDS[bar % CHORDS.length] ?? CHORDS[0]
    const drums = bar < BREAK[0] || bar >= BREAK[1]
    if (drums) {
      voices.kick(at)
      voices.hat(at + beat / 2, 0.12)
      if (n % 2 === 1) voices.clap(at)
      if (bar >= 2 * ENDS && bar < bars - 2 * ENDS) voices.hat(at + beat / 4, 0.04)
    }
    if (bar < ENDS || bar >= bars - ENDS || !chord) continue
    for (const part of [1, 2, 3]) {
      voices.bass(at + (part * beat) / 4, A1 * semitones(chord[0] % 12), beat / 4.5)
    }
    if (n % BEATS_PER_BAR === 0) voices.chord(at, chord, BEATS_PER_BAR * beat, beat, drums)
  }
  finish(track.left)
  finish(track.right)
  return { bpm, key: 'A minor', camelot: '8A', sampleRate, ...track }
}

/** A track as 16-bit samples, left and right interleaved. */
export function interleaved({ left, right }: Pick<ClubTrack, 'left' | 'right'>): Int16Array {
  const pcm = new Int16Array(2 * left.length)
  for (let i = 0; i < left.length; i++) {
    pcm[2 * i] = Math.round(32_767 * (left[i] ?? 0))
    pcm[2 * i + 1] = Math.round(32_767 * (right[i] ?? 0))
  }
  return pcm
}

/** Writes a track as 24-bit FLAC. Needs ffmpeg. */
export async function writeFlac(
  { left, right, sampleRate }: Pick<ClubTrack, 'left' | 'right' | 'sampleRate'>,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const frames = new Float32Array(left.length * 2)
  for (let i = 0; i < left.length; i++) {
    frames[2 * i] = left[i] ?? 0
    frames[2 * i + 1] = right[i] ?? 0
  }
  const input = ['-f', 'f32le', '-ar', `${sampleRate}`, '-ac', '2', '-i', 'pipe:0']
  // ffmpeg's FLAC encoder takes 24 bits as the upper part of 32.
  const output = ['-c:a', 'flac', '-sample_fmt', 's32', '-bits_per_raw_sample', '24', '-y']
  const ffmpeg = spawn('ffmpeg', ['-v', 'error', ...input, ...output, `file:${path}`], {
    stdio: ['pipe', 'ignore', 'pipe'],
    ...(signal ? { signal } : {}),
  })
  let said = ''
  ffmpeg.stderr.on('data', (chunk) => {
    said += chunk
  })
  // The exit of ffmpeg has the reason.
  ffmpeg.stdin.on('error', () => {})
  ffmpeg.stdin.end(Buffer.from(frames.buffer))
  const [code] = await once(ffmpeg, 'close')
  if (code !== 0) throw new Error(`ffmpeg could not write ${path}: ${said.trim()}`)
}

/** The voices. Each method adds a sound to the track, from a sample that need not be a whole number. */
class Voices {
  readonly #track: { left: Float32Array; right: Float32Array }
  readonly #rate: number
  readonly #noise: () => number

  constructor(
    track: { left: Float32Array; right: Float32Array },
    rate: number,
    noise: () => number,
  ) {
    this.#track = track
    this.#rate = rate
    this.#noise = noise
  }

  kick(at: number): void {
    let phase = 0
    this.#add(at, 0.32, 0, (seconds) => {
      phase += (48 + 140 * Math.exp(-seconds * 32)) / this.#rate
      return 0.85 * Math.sin(2 * Math.PI * phase) * Math.exp(-seconds * 11)
    })
  }

  hat(at: number, level: number): void {
    let last = 0
    this.#add(at, 0.09, 0.2, (seconds) => {
      const now = this.#noise()
      const high = now - last
      last = now
      return level * high * Math.exp(-seconds * 55)
    })
  }

  clap(at: number): void {
    let low = 0
    this.#add(at, 0.18, -0.1, (seconds) => {
      const now = this.#noise()
      low += 0.25 * (now - low)
      return 0.28 * (now - low) * Math.exp(-seconds * 24)
    })
  }

  bass(at: number, hz: number, samples: number): void {
    const tone = saw(hz / this.#rate, 12)
    this.#add(at, samples / this.#rate, 0, (seconds, i) => {
      const attack = Math.min(1, seconds * 200)
      return 0.3 * tone(i) * attack * Math.exp(-seconds * 9)
    })
  }

  /** Two saws per note, one to each side, ducked by the kick as dance music does. */
  chord(at: number, chord: Chord, samples: number, beat: number, ducked: boolean): void {
    for (const [index, note] of [...chord, chord[0] + 12].entries()) {
      for (const side of [-1, 1]) {
        const hz = A1 * 4 * semitones(note) * (1 + side * 0.0015)
        const tone = saw(hz / this.#rate, 14)
        const seconds = samples / this.#rate
        this.#add(at, seconds, side * 0.7, (t, i) => {
          const duck = ducked ? Math.min(1, 0.25 + (i % beat) / (0.55 * beat)) : 1
          const edge = Math.min(1, t * 60, (seconds - t) * 60)
          return (index === 0 ? 0.07 : 0.055) * tone(i) * duck * edge
        })
      }
    }
  }

  /** `pan` from -1, left, to 1. */
  #add(
    at: number,
    seconds: number,
    pan: number,
    sound: (t: number, i: number) => number,
  ): void {
    const { left, right } = this.#track
    const from = Math.round(at)
    const count = Math.min(Math.round(seconds * this.#rate), left.length - from)
    const [l, r] = [Math.min(1, 1 - pan), Math.min(1, 1 + pan)]
    for (let i = 0; i < count; i++) {
      const value = sound(i / this.#rate, i)
      left[from + i] = (left[from + i] ?? 0) + l * value
      right[from + i] = (right[from + i] ?? 0) + r * value
    }
  }
}

/** A band-limited sawtooth of `harmonics` harmonics, from a table. `step`: cycles per sample. */
function saw(step: number, harmonics: number): (i: number) => number {
  const size = 2048
  const most = Math.min(harmonics, Math.floor(0.45 / step))
  const table = new Float32Array(size)
  for (let i = 0; i < size; i++) {
    let sum = 0
    for (let h = 1; h <= most; h++) sum += Math.sin((2 * Math.PI * h * i) / size) / h
    table[i] = sum
  }
  return (i) => table[Math.floor(((i * step) % 1) * size)] ?? 0
}

function semitones(n: number): number {
  return 2 ** (n / 12)
}

/** Numbers from -1 to 1 (xorshift32). */
function generator(seed: number): () => number {
  let state = seed | 0
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state / 2 ** 31
  }
}

/** A soft limit, so that nothing clips where sounds meet. */
function finish(samples: Float32Array): void {
  for (let i = 0; i < samples.length; i++) samples[i] = 0.9 * Math.tanh(samples[i] ?? 0)
}
