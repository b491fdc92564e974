import t from 'tap'
import waveform from '#shared/assets/built-in/waveform.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { encodeTools } from '../../../../services/encode/tools.ts'
import { ffmpeg, inMemory, int16 } from '../../../support/audio.ts'
import { bytesOf } from '../../../support/bytes.ts'
import { timeLimit } from '../../../support/patience.ts'
import { club, noise, RATE, silence, sine } from '../../../support/synth.ts'

if (waveform.stage !== 'encode' || !('grid' in waveform)) throw new Error('waveform is split')
const { part, join, grid } = waveform
const [WIDTH, HEIGHT] = [1800, 280]

interface Drawn {
  readonly json: {
    readonly version: number
    readonly channels: number
    readonly sample_rate: number
    readonly samples_per_pixel: number
    readonly bits: number
    readonly length: number
    readonly data: readonly number[]
  }
  readonly files: Readonly<Record<'json' | 'png', Uint8Array>>
}

async function drawn(pcm: Int16Array | PcmSource, cells = 1): Promise<Drawn> {
  const source = pcm instanceof Int16Array ? inMemory(pcm) : pcm
  const tools = encodeTools(source, timeLimit(30_000))
  const parts: Uint8Array[] = []
  for (let start = 0; start < source.samples; start += cells * grid) {
    const end = Math.min(source.samples, start + cells * grid)
    parts.push(await part({ start, end }, tools))
  }
  const rendered = await join(parts, tools)
  const [json, png] = await Promise.all([bytesOf(rendered.json), bytesOf(rendered.png)])
  return { files: { json, png }, json: JSON.parse(json.toString()) }
}

/** Brightness of each pixel, 0 to 1, row by row. */
async function brightness(png: Uint8Array): Promise<Float64Array> {
  const rgb = await ffmpeg(
    ['-f', 'png_pipe', '-i', 'pipe:0', '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'],
    png,
  )
  if (rgb.length !== WIDTH * HEIGHT * 3) throw new Error(`${rgb.length} bytes of pixels`)
  return Float64Array.from({ length: WIDTH * HEIGHT }, (_, i) => (rgb[3 * i] ?? 0) / 255)
}

t.test(
  'the JSON is what audiowaveform writes: minima and maxima of the mean of both channels',
  async (t) => {
    const pcm = int16([noise(3000, { amplitude: 0.9 }), sine(3000, 300, { amplitude: 0.9 })])
    const { json } = await drawn(pcm)
    t.match(json, {
      version: 2,
      channels: 1,
      sample_rate: 44_100,
      samples_per_pixel: 256,
      bits: 8,
      length: 12,
    })
    const want: number[] = []
    for (let at = 0; at < 3000; at += 256) {
      const mix = Array.from({ length: Math.min(256, 3000 - at) }, (_, i) => {
        const sum = (pcm[2 * (at + i)] ?? 0) + (pcm[2 * (at + i) + 1] ?? 0)
        return Math.trunc(Math.trunc(sum / 2) / 256)
      })
      want.push(Math.min(...mix), Math.max(...mix))
    }
    t.same(json.data, want)
  },
)

t.test('full scale is -128 to 127', async (t) => {
  const square = sine(2000, 200).map((x) => (x < 0 ? -1 : 1))
  const { json } = await drawn(int16([square, square]))
  t.equal(Math.min(...json.data), -128)
  t.equal(Math.max(...json.data), 127)
})

t.test(
  'a point stands for a multiple of 256 samples, so that there are 4096 at most',
  async (t) => {
    for (const [samples, perPixel] of [
      [1, 256],
      [255, 256],
      [4096 * 256, 256],
      [4096 * 256 + 1, 512],
      [433 * RATE, 4864],
    ] as const) {
      const { json, files } = await drawn(inMemory(new Int16Array(2 * RATE), samples))
      t.equal(json.samples_per_pixel, perPixel, `${samples} samples`)
      t.equal(json.length, Math.ceil(samples / perPixel))
      t.equal(json.data.length, 2 * json.length)
      t.ok(json.length <= 4096)
      t.ok(files.json.length < 45_000)
    }
  },
)

t.test('the bytes do not depend on how many cells a part holds', async (t) => {
  const hiss = int16([noise(20 * RATE + 7, { seed: 5 }), noise(20 * RATE + 7, { seed: 6 })])
  const pcm = inMemory(hiss, 2 * grid + 300)
  const single = await drawn(pcm)
  for (const cells of [2, 3]) {
    const grouped = await drawn(pcm, cells)
    t.equal(Buffer.compare(single.files.json, grouped.files.json), 0)
    t.equal(Buffer.compare(single.files.png, grouped.files.png), 0)
  }
})

t.test('the picture shows loud and quiet where they are, on white', async (t) => {
  const [left, right] = [new Float64Array(4 * RATE), new Float64Array(4 * RATE)]
  const tone = sine(4 * RATE, 500, { amplitude: 0.8 })
  for (let i = 0; i < 4 * RATE; i++) {
    // A second each of silence, both sides, the left alone, and both in opposite phase.
    const second = Math.floor(i / RATE)
    if (second > 0) left[i] = tone[i] ?? 0
    if (second === 1) right[i] = tone[i] ?? 0
    if (second === 3) right[i] = -(tone[i] ?? 0)
  }
  const { files } = await drawn(int16([left, right]))
  const seen = await brightness(files.png)
  const at = (x: number, y: number) => seen[y * WIDTH + x] ?? 0
  for (const x of [1, 225, WIDTH - 1]) t.equal(at(x, 0), 1, 'white above')
  t.equal(at(225, 130), 1, 'white in silence')
  t.ok(at(225, 140) < 0.95, 'but for the line')
  for (const x of [675, 1125, 1575]) {
    t.ok(at(x, 40) < 0.7, `the envelope reaches up at ${x}`)
    t.ok(at(x, 240) < 0.7, `and down at ${x}`)
    t.equal(at(x, 15), 1, `and no further at ${x}`)
    t.ok(at(x, 130) < 0.3, `the body is dark at ${x}`)
  }
  t.ok(at(675, 85) < 0.3 && at(1125, 85) > 0.3, 'one side alone is less to be heard')
})

t.test('the shortest and the stillest track have a picture', async (t) => {
  for (const pcm of [
    int16([[0.5], [0.5]].map((x) => Float64Array.from(x))),
    int16([silence(9), silence(9)]),
    int16(club(100)),
  ]) {
    const { files } = await drawn(pcm)
    t.ok((await brightness(files.png)).some((x) => x < 1))
  }
})
