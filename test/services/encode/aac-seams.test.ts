import t from 'tap'
import { aacJoin, aacPackets } from '../../../services/encode/aac/aac.ts'
import { mayFollow, packets, windowSequence } from '../../../services/encode/aac/adts.ts'
import { inMemory, int16 } from '../../support/audio.ts'
import { bytesOf } from '../../support/bytes.ts'
import { noChromium, startChromium } from '../../support/chromium.ts'
import { allDecodedByFfmpeg, interleaved, lag, snr } from '../../support/decoded.ts'
import { timeLimit } from '../../support/patience.ts'
import { type Channel, club, mixed, noise, RATE, silence, sine } from '../../support/synth.ts'

// Cells of the real length would need hours of audio for as many seams. Longer than the pre-roll: at a seam the encoder
// shall have begun anew.
const CELL = 264
const GRID = CELL * 1024
const BITRATE = 128_000
/** How far a track goes on behind the seam, samples. */
const BEYOND = 56 * 1024
/** What is about a seam, packets to either side. */
const ABOUT = 8
const signal = timeLimit(290_000)

type Stereo = readonly [Channel, Channel]
const both = (channel: Channel): Stereo => [channel, channel]
const times = (channels: Stereo, gain: (at: number) => number): Stereo =>
  [channels[0].map((x, i) => x * gain(i)), channels[1].map((x, i) => x * gain(i))] as const

/** From `low` Hz up to `high`. */
function sweep(samples: number, low: number, high: number): Channel {
  const ratio = high / low
  const scale = (2 * Math.PI * low * samples) / RATE / Math.log(ratio)
  return Float64Array.from(
    { length: samples },
    (_, i) => 0.5 * Math.sin(scale * ratio ** (i / samples)),
  )
}

/** Pulses: how far behind the last of them a sample is. One falls on each seam, the others on as many places between. */
const PULSE = GRID / 12
const since = (i: number) => i % PULSE

const noises = (n: number, amplitude: number): Stereo => [
  noise(n, { amplitude }),
  noise(n, { seed: 2, amplitude }),
]

/** Each with how many samples it is longer than whole packets. */
const TRACKS: Readonly<Record<string, readonly [rest: number, make: (n: number) => Stereo]>> = {
  'a sweep': [0, (n) => both(sweep(n, 40, 16_000))],
  'sweeps against each other': [1, (n) => [sweep(n, 40, 16_000), sweep(n, 16_000, 40)]],
  'a chord': [
    1023,
    (n) => both(mixed(sine(n, 220.3, third), sine(n, 277.7, third), sine(n, 331.1, third))),
  ],
  'a tone in each ear': [1024, (n) => [sine(n, 439.7), sine(n, 1000.3)]],
  'a tone that swells': [
    1025,
    (n) => times(both(sine(n, 523.7)), (i) => 0.5 + 0.5 * Math.sin(i / 30_011)),
  ],
  'low noise': [2047, (n) => noises(n, 0.01)],
  'noise at full scale': [2048, (n) => noises(n, 1)],
  'noise, left against right': [2049, (n) => [noise(n), noise(n).map((x) => -x)]],
  'noise left, a tone right': [-1, (n) => [noise(n), sine(n, 660.1)]],
  'clicks on the seams': [
    -1023,
    (n) => times(both(sine(n, 100.7, { amplitude: 0.1 })), (i) => (since(i) === 0 ? 9 : 1)),
  ],
  'clicks in silence': [-1024, (n) => both(silence(n).map((_, i) => (since(i) < 3 ? 0.9 : 0)))],
  'bursts of noise that begin on the seams': [
    -1025,
    (n) => times(noises(n, 0.9), (i) => Math.exp(-since(i) / 1500)),
  ],
  'noise that stops on the seams': [
    7,
    (n) => times(noises(n, 0.5), (i) => (since(i) > PULSE / 2 ? 1 : 0)),
  ],
  'drums on the seams': [511, (n) => club(n, { bpm: (60 * RATE) / PULSE })],
  'club music': [513, (n) => club(n, { bpm: 128 })],
  'faster club music': [100, (n) => club(n, { bpm: 174, tonicHz: 61.7 })],
  'club music, clipped': [333, (n) => times(club(n), () => 8)],
  'quiet club music': [5000, (n) => times(club(n), () => 0.002)],
  'a square at full scale': [12_345, (n) => both(sine(n, 97.3).map(Math.sign))],
  silence: [1, (n) => both(silence(n))],
}
const third = { amplitude: 0.25 }

interface Joined {
  readonly pcm: Int16Array
  readonly adts: Uint8Array
  readonly file: Uint8Array
}

async function joined(pcm: Int16Array, cell = CELL): Promise<Joined> {
  const samples = pcm.length / 2
  const source = inMemory(pcm)
  const parts: Uint8Array[] = []
  for (let start = 0; start < samples; start += cell * 1024) {
    const end = Math.min(samples, start + cell * 1024)
    parts.push(await aacPackets(source, { start, end }, BITRATE, signal, cell))
  }
  return { pcm, adts: Buffer.concat(parts), file: await bytesOf(await aacJoin(parts, samples)) }
}

/** `heard`: what ffmpeg makes of the file; `onePass`: of the same music in one cell that holds all of it. */
type Track = Joined & { readonly heard: Int16Array; readonly onePass: Int16Array }

const tracks = new Map<string, Track>()
{
  const made = await Array.fromAsync(Object.values(TRACKS), async ([rest, make]) => {
    const pcm = int16(make(GRID + BEYOND + rest))
    return { ...(await joined(pcm)), whole: (await joined(pcm, 10 * CELL)).file }
  })
  const files = made.flatMap(({ file, whole }) => [file, whole])
  const decoded = await allDecodedByFfmpeg(files, 'm4a')
  for (const [n, name] of Object.keys(TRACKS).entries()) {
    const [heard, onePass] = decoded.slice(2 * n) as [Int16Array, Int16Array]
    tracks.set(name, { ...(made[n] as Joined), heard, onePass })
  }
}

t.test('no two windows at a seam or elsewhere break the rules', async (t) => {
  let atSeams = ''
  for (const [name, { adts }] of tracks) {
    const windows = [...packets(adts)].map((packet) => windowSequence(adts, packet))
    const broken = windows.filter((window, i) => {
      const before = windows[i - 1]
      return before !== undefined && window !== undefined && !mayFollow(before, window)
    })
    t.same(broken, [], name)
    atSeams += `${windows[CELL - 1]} ${windows[CELL]} `
  }
  t.match(atSeams, /short/, 'some are in the middle of a transient')
})

t.test('about the seams the error is that of elsewhere, and that of one pass', async (t) => {
  const [near, far]: [number[], number[]] = [[], []]
  for (const [name, { pcm, heard, onePass }] of tracks) {
    t.equal(heard.length / 2, Math.ceil(pcm.length / 2048) * 1024, `${name}: in whole packets`)
    if (name === 'silence') continue
    t.equal(lag(pcm, heard), 0, `${name}: in its place`)
    const isNear = (_: number, frame: number) => Math.abs(frame + 0.5 - CELL) < ABOUT
    const errors = frameErrors(pcm, heard)
    const elsewhere = errors.filter((error, frame) => !isNear(error, frame))
    const usual = percentile95(elsewhere)
    near.push(...errors.filter(isNear).map((error) => error - usual))
    far.push(...elsewhere.map((error) => error - usual))
    const above =
      percentile95(errors.filter(isNear)) -
      percentile95(frameErrors(pcm, onePass).filter(isNear))
    // Of so few frames a single one decides; a lost packet is many dB.
    t.ok(above <= 2, `${name}: ${above.toFixed(2)} dB above one pass`)
  }
  const above = percentile95(near) - percentile95(far)
  t.ok(above <= 1, `the 95th percentile is ${above.toFixed(2)} dB above that elsewhere`)
})

t.test(
  'Chromium decodes exactly that number of samples, and the same ones',
  { skip: noChromium(t) },
  async (t) => {
    const chromium = await startChromium()
    t.teardown(() => chromium.close())
    const music = int16(club(GRID + 1))
    const short = [1, 2, 1023, 1024, 1025, 2047, 2048, 2049]
    for (const samples of [...short, GRID - 1, GRID, GRID + 1]) {
      const { file } = await joined(music.subarray(0, 2 * samples))
      const decoded = (await chromium.decode(file)).samples
      // Chromium 150 cuts what is shorter than one packet to whole microseconds, which may be a sample less.
      const least = samples < 1023 ? samples - 1 : samples
      t.ok(decoded >= least && decoded <= samples, `${samples} samples: ${decoded}`)
    }
    for (const [name, { pcm, file, heard }] of tracks) {
      const { samples, channels } = await chromium.decode(file)
      t.equal(samples, pcm.length / 2, name)
      const got = interleaved(channels)
      if (name === 'silence') {
        t.ok(
          got.every((x) => Math.abs(x) < 1),
          'silence stays silent',
        )
        continue
      }
      t.equal(lag(pcm, got), 0, `${name}: in its place`)
      const apart = snr(heard, clipped(got), { to: got.length })
      t.ok(apart > 25, `${name}: ${apart.toFixed(1)} dB from what ffmpeg hears`)
    }
  },
)

/** ffmpeg was asked for 16 bits, which end at full scale. */
function clipped(numbers: Float32Array): Float32Array {
  return numbers.map((x) => Math.max(-32_768, Math.min(32_767, x)))
}

/** Power of the error over each 1024 samples, dB of one step squared. */
function frameErrors(want: Int16Array, got: Int16Array): number[] {
  return Array.from({ length: Math.floor(want.length / 2048) }, (_, frame) => {
    let power = 0
    for (let i = frame * 2048; i < (frame + 1) * 2048; i++) {
      power += ((want[i] ?? 0) - (got[i] ?? 0)) ** 2
    }
    // Below one step there is silence: a hundredth of it must not count as much as what is heard.
    return 10 * Math.log10(power / 2048 + 1)
  })
}

function percentile95(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? 0
}
