import { createHash } from 'node:crypto'
import t from 'tap'
import { encodeTools } from '../../../services/encode/tools.ts'
import { aiff, coded, flac, inMemory, int16, wav } from '../../support/audio.ts'
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
  return {
    MP3: await coded('a.mp3', stereo, ['-b:a', '192k']),
    'MP3, mono, 24 kHz': await coded('a.mp3', at48, ['-ac', '1', '-ar', '24000']),
    'MP3 at 48 kHz': await coded('a.mp3', at48, ['-b:a', '320k']),
    ADTS: await coded('a.aac', stereo),
    AAC: await coded('a.m4a', stereo),
    'AAC at 48 kHz': await coded('a.m4a', at48),
    ALAC: await coded('a.m4a', stereo, ['-c:a', 'alac']),
    FLAC: await flac(stereo),
    'FLAC at 48 kHz, 24 bits': await flac(at48, { bits: 24 }),
    Vorbis: await coded('a.ogg', stereo, ['-c:a', 'libvorbis']),
    Opus: await coded('a.ogg', at48, ['-c:a', 'libopus', '-b:a', '160k']),
    'MS ADPCM': await coded('a.wav', stereo, ['-c:a', 'adpcm_ms']),
    'IMA ADPCM': await coded('a.wav', stereo, ['-c:a', 'adpcm_ima_wav']),
    'IMA ADPCM of AIFF-C': await coded('a.aifc', stereo, ['-c:a', 'adpcm_ima_qt']),
    '5.1 at 96 kHz': wav(music(96_000, 6), { rate: 96_000, bits: 24 }),
    'float at 88.2 kHz': wav(music(88_200), float),
    'an odd rate': wav(music(44_056), { rate: 44_056, bits: 24 }),
    '8 bits, mono': wav(music(22_050, 1), { rate: 22_050, bits: 8 }),
    'A-law': await coded('a.wav', stereo, ['-c:a', 'pcm_alaw']),
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

async function digests(files: Record<string, Buffer>): Promise<Record<string, string>> {
  const all: Record<string, string> = {}
  for (const [what, master] of Object.entries(files)) {
    const hash = createHash('sha256')
    for (const [, , part] of (await stage(master)).parts) hash.update(part)
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
