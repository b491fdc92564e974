import { createHash } from 'node:crypto'
import t from 'tap'
import { encodeTools } from '../../../services/encode/tools.ts'
import { aiff, codedAs, flac, inMemory, int16, wav } from '../../support/audio.ts'
import { timeLimit } from '../../support/patience.ts'
import { onOtherCpu } from '../../support/processes/other-cpu.ts'
import { stage } from '../../support/stage.ts'
import { club, noise, RATE } from '../../support/synth.ts'

const SECONDS = 2
const music = (rate: number, channels = 2) => {
  const [left, right] = club(SECONDS * rate, { rate })
  const hiss = noise(SECONDS * rate, { amplitude: 0.2 })
  const mixed = (side: Float64Array) => side.map((x, i) => x + (hiss[i] ?? 0))
  const sides = [mixed(left), mixed(right)]
  return Array.from({ length: channels }, (_, i) => sides[i % 2] as Float64Array)
}
const stereo = wav(music(RATE))
const at48 = wav(music(48_000), { rate: 48_000 })

/** A master for each decoder, for each way to mix and for each kind of number that is resampled. */
async function masters(): Promise<Record<string, Buffer>> {
  const float = { rate: 88_200, bits: 32, float: true }
  const ofStereo = [
    ['a.mp3', ['-b:a', '192k'], 'MP3'],
    ['a.aac', [], 'ADTS'],
    ['a.m4a', [], 'AAC'],
    ['a.m4a', ['-c:a', 'alac'], 'ALAC'],
    ['a.ogg', ['-c:a', 'libvorbis'], 'Vorbis'],
    ['a.wav', ['-c:a', 'adpcm_ms'], 'MS ADPCM'],
    ['a.wav', ['-c:a', 'adpcm_ima_wav'], 'IMA ADPCM'],
    ['a.aifc', ['-c:a', 'adpcm_ima_qt'], 'IMA ADPCM of AIFF-C'],
    ['a.wav', ['-c:a', 'pcm_alaw'], 'A-law'],
  ] as const
  const of48 = [
    ['a.mp3', ['-ac', '1', '-ar', '24000'], 'MP3, mono, 24 kHz'],
    ['a.mp3', ['-b:a', '320k'], 'MP3 at 48 kHz'],
    ['a.m4a', [], 'AAC at 48 kHz'],
    ['a.ogg', ['-c:a', 'libopus', '-b:a', '160k'], 'Opus'],
  ] as const
  const files = [...(await codedAs(stereo, ofStereo)), ...(await codedAs(at48, of48))]
  const names = [...ofStereo, ...of48].map(([, , name]) => name)
  return {
    ...Object.fromEntries(names.map((name, n) => [name, files[n] as Buffer])),
    FLAC: await flac(stereo),
    'FLAC at 48 kHz, 24 bits': await flac(at48, { bits: 24 }),
    '5.1 at 96 kHz': wav(music(96_000, 6), { rate: 96_000, bits: 24 }),
    'float at 88.2 kHz': wav(music(88_200), float),
    'an odd rate': wav(music(44_056), { rate: 44_056, bits: 24 }),
    '8 bits, mono': wav(music(22_050, 1), { rate: 22_050, bits: 8 }),
    'big-endian': aiff(music(48_000), { rate: 48_000, bits: 24 }),
  }
}

const pcm = int16(music(RATE))
const source = inMemory(pcm)
const tools = () => encodeTools(source, timeLimit(120_000))
const encoders: Record<string, () => Promise<Uint8Array>> = {
  aac: () => tools().aacPackets({ start: 0, end: source.samples }, 128_000),
  'mp3 at 128 kbit/s': () => tools().mp3(source, 128_000),
  'mp3 at 320 kbit/s': () => tools().mp3(source, 320_000),
  flac: () => tools().flac(source),
}

type Layout = Awaited<ReturnType<typeof stage>>['layout']
const layouts = new Map<string, Layout>()

async function digests(files: Record<string, Buffer>): Promise<Record<string, string>> {
  const all: Record<string, string> = {}
  for (const [what, master] of Object.entries(files)) {
    const hash = createHash('sha256')
    const known = layouts.get(what)
    const { parts, layout } = await stage(master, known === undefined ? {} : { layout: known })
    layouts.set(what, layout)
    for (const [, , part] of parts) hash.update(part)
    all[what] = hash.digest('hex')
  }
  for (const [what, encode] of Object.entries(encoders)) {
    all[`${what}, encoded`] = createHash('sha256')
      .update(await encode())
      .digest('hex')
  }
  return all
}

t.test('every decoder, resampling and encoder gives the same bytes on any CPU', async (t) => {
  const files = await masters()
  const here = await digests(files)
  t.not(here.MP3, here.AAC, 'they are the bytes of the masters')
  const there = await onOtherCpu('0', () => digests(files))
  t.same(there, here)
})
