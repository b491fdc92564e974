import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { flacBlocks, STREAMINFO, VORBIS_COMMENT } from '#shared/audio/flac-blocks.ts'
import { endsWithFrame } from '../../../services/encode/flac/last-frame.ts'
import { encodeTools } from '../../../services/encode/tools.ts'
import { inMemory, int16 } from '../../support/audio.ts'
import { noChromium, startChromium } from '../../support/chromium.ts'
import { allDecodedByFfmpeg, interleaved } from '../../support/decoded.ts'
import { timeLimit } from '../../support/patience.ts'
import { club, noise, RATE, silence } from '../../support/synth.ts'

const signal = timeLimit(200_000)
const music = int16(club(6 * RATE))
/** Lengths about a block's, and some seconds. */
const LENGTHS = [1, 15, 16, 4607, 4608, 4609, 9216, RATE, 5 * RATE + 13]

async function flac(pcm: Int16Array): Promise<Buffer> {
  const source = inMemory(pcm)
  return Buffer.from(await encodeTools(source, signal).flac(source))
}

function opened(file: Buffer) {
  const found = flacBlocks(file)
  if (found === undefined || 'needs' in found) throw new Error('no FLAC')
  return { ...found, info: Buffer.from(found.blocks[0]?.body ?? []) }
}

/** The beginning of the music, of each length. */
const tracks: { samples: number; pcm: Int16Array; file: Buffer }[] = []
for (const samples of LENGTHS) {
  const pcm = music.subarray(0, 2 * samples)
  tracks.push({ samples, pcm, file: await flac(pcm) })
}

t.test('what comes back is what was put in, number for number', async (t) => {
  const files = tracks.map(({ file }) => file)
  const decoded = await allDecodedByFfmpeg(files, 'flac')
  for (const [n, { samples, pcm }] of tracks.entries())
    t.same(decoded[n], pcm, `${samples} samples`)
})

t.test('noise that cannot be made smaller comes back too, and silence', async (t) => {
  const loud = [noise(RATE, { amplitude: 1 }), noise(RATE, { seed: 2, amplitude: 1 })]
  const both = [int16(loud), int16([silence(RATE), silence(RATE)])]
  const files = await Promise.all(both.map(flac))
  t.same(await allDecodedByFfmpeg(files, 'flac'), both)
})

t.test('the header has the length and the MD5 of the samples', async (t) => {
  for (const { samples, pcm, file } of tracks) {
    const { blocks, info } = opened(file)
    t.same(
      blocks.map(({ type }) => type),
      [STREAMINFO, VORBIS_COMMENT],
    )
    t.equal(Number(info.readBigUInt64BE(10) & 0xf_ffff_ffffn), samples)
    const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength)
    t.same(info.subarray(18), createHash('md5').update(bytes).digest())
  }
})

const noFlac = spawnSync('flac', ['--version']).status === 0 ? false : 'flac is not installed'
t.test('the reference decoder finds nothing wrong', { skip: noFlac }, async (t) => {
  const folder = t.testdir()
  const paths = tracks.map(({ samples }) => join(folder, `${samples}.flac`))
  for (const [n, path] of paths.entries()) await writeFile(path, tracks[n]?.file ?? '')
  const { status, stderr } = spawnSync('flac', ['--test', '--silent', '-w', ...paths])
  t.equal(status, 0, `${stderr}`)
})

t.test('Chromium decodes the same', { skip: noChromium(t) }, async (t) => {
  const chromium = await startChromium()
  t.teardown(() => chromium.close())
  for (const { samples, pcm, file } of tracks) {
    const { channels } = await chromium.decode(file)
    t.same(Int16Array.from(interleaved(channels)), pcm, `${samples} samples`)
  }
})

t.test('frames that are cut short, damaged or of another track are seen', async (t) => {
  const samples = 140 * 4608 + 100
  const pcm = int16([noise(samples, { amplitude: 0.01 }), silence(samples)])
  const file = await flac(pcm)
  const frames = Buffer.from(file.subarray(opened(file).end))
  t.ok(endsWithFrame(frames, 4608, samples))
  t.notOk(endsWithFrame(frames, 4608, samples + 1), 'another length of the last frame')
  t.notOk(endsWithFrame(frames, 4608, samples + 4608), 'another number of frames')
  t.notOk(endsWithFrame(frames.subarray(0, -1), 4608, samples), 'cut short')
  t.notOk(endsWithFrame(Buffer.alloc(0), 4608, samples), 'none')
  frames[frames.length - 20] = (frames[frames.length - 20] ?? 0) ^ 1
  t.notOk(endsWithFrame(frames, 4608, samples), 'damaged')
})
