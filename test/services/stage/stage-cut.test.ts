import { pathToFileURL } from 'node:url'
import t from 'tap'
import type { ObjectName } from '#shared/contracts/names.ts'
import { openStore } from '#shared/store/open.ts'
import type { CodedLayout } from '../../../services/stage/formats/layout.ts'
import { masterBytes } from '../../../services/stage/formats/master-bytes.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { pacing } from '../../../services/stage/resample/cost.ts'
import { samplesAt44100, stageRange } from '../../../services/stage/resample/range.ts'
import { stageStream } from '../../../services/stage/resample/stream.ts'
import { aiff, coded, codedAs, flac, sparseRf64, wav } from '../../support/audio.ts'
import { bytesOf, inRanges, keepIn, type Part, soon, stage } from '../../support/stage.ts'
import { club, noise, RATE } from '../../support/synth.ts'

t.test('parts are the same, bit for bit, however a track is cut into steps', async (t) => {
  const music = (rate: number, seconds: number, channels = 2) =>
    Array.from({ length: channels }, (_, i) =>
      noise(Math.round(rate * seconds), { seed: i + 1, amplitude: 0.4 }),
    )
  const stereo = wav(music(44_100, 3.3))
  const deep = { rate: 48_000, bits: 24 }
  const formats = [
    ['a.wav', ['-c:a', 'pcm_alaw'], 'A-law'],
    ['a.mp3', [], 'MP3'],
    ['a.aac', [], 'AAC'],
    ['a.m4a', [], 'M4A'],
    ['a.ogg', ['-c:a', 'libvorbis'], 'Vorbis'],
    ['a.ogg', ['-c:a', 'libopus', '-ar', '48000'], 'Opus'],
    ['a.wav', ['-c:a', 'adpcm_ms'], 'MS ADPCM'],
  ] as const
  const files = await codedAs(stereo, formats)
  const masters: readonly (readonly [string, Buffer])[] = [
    ['24 bits at 48 kHz', wav(music(48_000, 3.3), deep)],
    ['a whole number of seconds', wav(music(48_000, 4), deep)],
    ['8 bits, mono, 22.05 kHz', wav(music(22_050, 3.3, 1), { rate: 22_050, bits: 8 })],
    ['5.1 at 96 kHz', wav(music(96_000, 3.1, 6), { rate: 96_000, bits: 24 })],
    ['float at 192 kHz', wav(music(192_000, 3.2), { rate: 192_000, bits: 32, float: true })],
    ['an odd rate', wav(music(44_056, 3.3), { rate: 44_056, bits: 24 })],
    ['8 kHz', wav(music(8000, 3.3), { rate: 8000 })],
    ['big-endian 24 bits', aiff(music(88_200, 3.4), { rate: 88_200, bits: 24 })],
    ['FLAC', await flac(stereo)],
    [
      'FLAC at 96 kHz',
      await flac(wav(music(96_000, 3.2), { rate: 96_000, bits: 24 }), { bits: 24 }),
    ],
    ['FLAC that does not say how long it is', await flac(stereo, { total: false })],
    ['MP3 at 48 kHz', await coded('a.mp3', wav(music(48_000, 3.3), { rate: 48_000 }))],
    ...formats.map(([, , what], n) => [what, files[n] as Buffer] as const),
  ]
  for (const [what, master] of masters) {
    const { parts, layout } = await stage(master, { partSamples: RATE })
    const cut = await inRanges(master, 2, layout)
    t.same(
      cut.map(([start, end]) => [start, end]),
      parts.map(([start, end]) => [start, end]),
      `${what}: the same parts`,
    )
    t.ok(
      cut.every(([, , bytes], i) => Buffer.compare(bytes, parts[i]?.[2] ?? Buffer.of()) === 0),
      `${what}: the same bytes`,
    )
  }
})

t.test('of a 24-bit RF64 of more than 4 GB the end can be staged alone', async (t) => {
  const folder = t.testdir({})
  const [left, right] = club(2 * 48_000, { rate: 48_000 })
  const silent = 4 * 3600 * 48_000
  await sparseRf64(`${folder}/long.wav`, silent, [left, right], { rate: 48_000, bits: 24 })
  const store = openStore(pathToFileURL(folder).href)
  const stat = await store.stat('long.wav' as ObjectName)
  if (stat === undefined) throw new Error('no master')
  const file = masterBytes(store, stat.name, stat)
  const layout = await survey(file, soon())
  if (layout.kind !== 'pcm') throw new Error('no PCM')
  const samples = samplesAt44100(layout)
  t.equal(samples, (4 * 3600 + 2) * RATE)
  const parts: Part[] = []
  const start = 4 * 3600 * RATE
  const range = { start, end: samples, partSamples: 60 * RATE }
  await stageRange(layout, { file, signal: soon(), ...range, write: keepIn(parts) })
  t.match(parts, [[start, samples]])
  const got = (parts[0]?.[2] ?? Buffer.of()).subarray(44)
  const alone = await stage(wav([left, right], { rate: 48_000, bits: 24 }))
  const part = alone.parts[0]?.[2] ?? Buffer.of(1)
  // At its very beginning a filter sees silence here, and there nothing at all.
  const settled = 4 * 500
  t.ok(Buffer.compare(got.subarray(settled), part.subarray(44 + settled)) === 0)
})

t.test('a step of a stream goes on for as long as it has time', async (t) => {
  const master = await coded('a.mp3', wav(club(4.5 * RATE)))
  const whole = await stage(master, { partSamples: RATE })
  const file = bytesOf(master)
  const layout = (await survey(file, soon())) as CodedLayout
  const parts: Part[] = []
  const cut = async (start: number, more: number) => {
    let asked = 0
    const goesOn = () => asked++ < more
    const range = { start, end: start + RATE, partSamples: RATE, mostSamples: 9 * RATE, goesOn }
    return stageStream(layout, { file, signal: soon(), write: keepIn(parts), ...range })
  }
  t.match(await cut(0, 1), { end: 2 * RATE, isOver: false })
  t.match(await cut(2 * RATE, 0), { end: 3 * RATE, isOver: false })
  t.match(await cut(3 * RATE, 9), { end: whole.samples, isOver: true })
  t.same(parts, whole.parts)

  // The number of further parts, given the time spent at the end of each part, of a target of 600 ms.
  const more = (start: number, spent: readonly number[]) => {
    const left = [...spent]
    const goesOn = pacing(start, 600, () => left.shift() ?? 1e9)
    while (goesOn());
    return spent.length - left.length - 1
  }
  t.equal(more(0, [100, 200, 300, 400, 500, 600, 700]), 5, 'until the target')
  t.equal(more(0, [400, 800]), 0, 'another one would be too much')
  t.equal(
    more(9, [100, 350, 600]),
    2,
    'a step further on does not know at first what one takes',
  )
  t.equal(more(9, [500, 600, 700, 800, 900, 1000]), 5, 'after a long way it has more')
})
