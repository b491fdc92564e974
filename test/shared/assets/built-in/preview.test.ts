import t from 'tap'
import { loudestWindow } from '#shared/assets/built-in/preview/loudest-window.ts'
import preview from '#shared/assets/built-in/preview.ts'
import { excerpt } from '#shared/audio/excerpt.ts'
import { encodeTools } from '../../../../services/encode/tools.ts'
import { inMemory, int16 } from '../../../support/audio.ts'
import { bytesOf } from '../../../support/bytes.ts'
import { decodedByFfmpeg, lag } from '../../../support/decoded.ts'
import { timeLimit } from '../../../support/patience.ts'
import { club, gained, RATE } from '../../../support/synth.ts'

if (preview.stage !== 'encode' || !('grid' in preview)) throw new Error('preview is split')
const { grid, part, join } = preview
const signal = timeLimit(200_000)

/** The preview of a track, from parts of `cells` cells. */
async function previewOf(pcm: Int16Array, cells = 1): Promise<Buffer> {
  const source = inMemory(pcm)
  const tools = encodeTools(source, signal)
  const parts: Uint8Array[] = []
  for (let start = 0; start < source.samples; start += cells * grid) {
    const end = Math.min(source.samples, start + cells * grid)
    parts.push(await part({ start, end }, tools))
  }
  return bytesOf((await join(parts, tools)).m4a)
}

/** A track that is quiet but for the seconds [from, to); in tens of seconds. */
function drop(seconds: number, from: number, to: number): Int16Array {
  const loud = club(RATE * 10)
  const [quietly, loudly] = [int16(loud.map((side) => gained(0.1, side))), int16(loud)]
  const pcm = new Int16Array(2 * seconds * RATE)
  for (let second = 0; second < seconds; second += 10)
    pcm.set(second >= from && second < to ? loudly : quietly, 2 * second * RATE)
  return pcm
}

t.test('it is the 90 s with the most energy, faded where they were cut out', async (t) => {
  const pcm = drop(250, 150, 240)
  const file = await previewOf(pcm)
  const got = await decodedByFfmpeg(file, 'm4a')
  const length = 90 * RATE
  t.equal(Math.ceil(length / 1024) * 1024, got.length / 2, '90 s, in whole packets')
  const want = pcm.subarray(2 * 150 * RATE, 2 * 240 * RATE)
  t.equal(lag(want, got), 0, 'from the 150th second on')
  const power = (from: number, to: number) =>
    got.subarray(2 * from * RATE, 2 * to * RATE).reduce((sum, x) => sum + x * x, 0)
  t.ok(power(0, 0.1) < 0.01 * power(1, 1.1), 'it begins softly')
  t.ok(power(89.9, 90) < 0.01 * power(45, 45.1), 'and so it ends')
  t.same(await previewOf(pcm, 2), file, 'the same however it is cut into parts')
})

t.test('a track of up to 90 s is its own preview, and not faded', async (t) => {
  for (const samples of [1, 1000, 20 * RATE + 7]) {
    const pcm = int16(club(samples))
    const source = inMemory(pcm)
    const whole = await encodeTools(source, signal).m4a(source, 128_000)
    t.same(await previewOf(pcm), await bytesOf(whole), `${samples} samples`)
  }
})

t.test('of windows with the same energy the first is taken', async (t) => {
  t.equal(loudestWindow(new Float64Array(200), 90), 0)
  t.equal(loudestWindow(Float64Array.from([1, 5, 5, 1, 5, 5]), 2), 1)
  t.equal(loudestWindow(Float64Array.from([1, 2, 3]), 2), 1)
  t.equal(loudestWindow(Float64Array.from([1]), 2), 0, 'shorter than a window')
  t.equal(loudestWindow(new Float64Array(0), 2), 0)
  const full = 2 * RATE * 32_768 ** 2
  const most = Float64Array.from({ length: 10_000 }, () => full)
  t.equal(loudestWindow(most, 90), 0, 'of full scale for hours, too: the sums are exact')
})

t.test('a fade is the same however it is read, and leaves the middle alone', async (t) => {
  const pcm = new Int16Array(2 * 20 * RATE).fill(30_000)
  const source = inMemory(pcm)
  const of = excerpt(source, { start: RATE, end: 11 * RATE }, { inSeconds: 1, outSeconds: 3 })
  const whole = await of.read(0, of.samples)
  t.same(await of.read(RATE - 5, RATE + 5), whole.subarray(2 * (RATE - 5), 2 * (RATE + 5)))
  t.same(await of.read(9 * RATE, 9 * RATE + 5), whole.subarray(18 * RATE, 18 * RATE + 10))
  t.equal(whole[0], 0)
  t.equal(whole.at(-1), 0)
  t.ok(whole.subarray(2 * RATE, 14 * RATE).every((number) => number === 30_000))
  t.ok(
    pcm.every((number) => number === 30_000),
    'the track itself is untouched',
  )
})
