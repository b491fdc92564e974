import { readFile } from 'node:fs/promises'
import t from 'tap'
import { frameStarts } from '../../../services/encode/mp3/frames.ts'
import { infoFrame } from '../../../services/encode/mp3/info-frame.ts'
import { encodeTools } from '../../../services/encode/tools.ts'
import { ffmpeg, inMemory, int16 } from '../../support/audio.ts'
import { noChromium, startChromium } from '../../support/chromium.ts'
import {
  allDecodedByFfmpeg,
  decodedByFfmpeg,
  interleaved,
  lag,
  snr,
} from '../../support/decoded.ts'
import { timeLimit } from '../../support/patience.ts'
import { club, noise, RATE } from '../../support/synth.ts'

const signal = timeLimit(200_000)
const music = int16(club(8 * RATE))
/** Lengths about a frame's, and some seconds. */
const LENGTHS = [1, 575, 576, 577, 1151, 1152, 1153, 2304, RATE, 5 * RATE + 13]

function mp3(pcm: Int16Array, bitrate: number): Promise<Uint8Array> {
  const source = inMemory(pcm)
  return encodeTools(source, signal).mp3(source, bitrate)
}

/** The beginning of the music, of each length and bit rate. */
const tracks: { samples: number; bitrate: number; pcm: Int16Array; file: Uint8Array }[] = []
for (const bitrate of [128_000, 320_000]) {
  for (const samples of LENGTHS) {
    const pcm = music.subarray(0, 2 * samples)
    tracks.push({ samples, bitrate, pcm, file: await mp3(pcm, bitrate) })
  }
}

t.test('ffmpeg decodes exactly as many samples as there were, in their place', async (t) => {
  const files = tracks.map(({ file }) => file)
  const decoded = await allDecodedByFfmpeg(files, 'mp3')
  for (const [n, { samples, bitrate, pcm }] of tracks.entries()) {
    const got = decoded[n] as Int16Array
    t.equal(got.length / 2, samples, `${samples} at ${bitrate / 1000} kb/s`)
    if (samples < RATE) continue
    t.equal(lag(pcm, got), 0, `${samples}: nothing is early or late`)
    t.ok(snr(pcm, got) > 15, `${samples}: it is the music, ${snr(pcm, got).toFixed(1)} dB`)
  }
})

t.test('so does Chromium', { skip: noChromium(t) }, async (t) => {
  const chromium = await startChromium()
  t.teardown(() => chromium.close())
  for (const { samples, pcm, file } of tracks.filter(({ bitrate }) => bitrate === 320_000)) {
    const got = await chromium.decode(file)
    t.equal(got.samples, samples, `${samples}`)
    if (samples >= RATE) t.equal(lag(pcm, interleaved(got.channels)), 0, `${samples}: lag`)
  }
})

t.test('the first frame says what ffmpeg says where it can go back', async (t) => {
  const folder = t.testdir()
  for (const bitrate of [128_000, 320_000]) {
    const ours = Buffer.from(await mp3(music, bitrate))
    const path = `${folder}/${bitrate}.mp3`
    const input = new Uint8Array(music.buffer)
    const raw = ['-f', 's16le', '-ar', '44100', '-ac', '2', '-i', 'pipe:0']
    const coder = ['-c:a', 'libmp3lame', '-b:a', `${bitrate}`, '-compression_level', '5']
    await ffmpeg([...raw, ...coder, '-id3v2_version', '0', '-bitexact', path], input)
    const theirs = await readFile(path)
    t.same(said(ours), said(theirs), 'frames, bytes, delay, padding, checksum of the music')
    const [, first = 0] = frameStarts(ours)
    t.same(ours.subarray(first), theirs.subarray(first), 'and then come the same frames')
    t.equal(crcOf(theirs.subarray(0, 190)), theirs.readUInt16BE(190), 'what crcOf says is so')
    t.equal(crcOf(ours.subarray(0, 190)), ours.readUInt16BE(190), 'the checksum of the frame')
  }
})

t.test('the bit rate is constant, and full of noise nothing breaks', async (t) => {
  const channels = [
    noise(2 * RATE, { amplitude: 1 }),
    noise(2 * RATE, { seed: 2, amplitude: 1 }),
  ]
  const file = Buffer.from(await mp3(int16(channels), 128_000))
  const starts = frameStarts(file)
  const rates = new Set(starts.map((at) => (file[at + 2] ?? 0) >> 4))
  t.equal(rates.size, 1)
  t.equal((await decodedByFfmpeg(file, 'mp3')).length / 2, 2 * RATE)
})

t.test('frames that do not make up the track are refused', async (t) => {
  const file = Buffer.from(await mp3(music.subarray(0, 20_000), 128_000))
  const audio = file.subarray(frameStarts(file)[1])
  const starts = frameStarts(audio)
  t.throws(() => infoFrame(audio, starts.slice(0, -1), 10_000 + 1152), RangeError)
  t.throws(() => infoFrame(audio, starts, 4000), RangeError)
  t.throws(() => frameStarts(audio.subarray(0, -1)), /1 bytes short/)
  t.throws(() => frameStarts(audio.subarray(1)), /no MP3 frame at byte 0/)
})

/** The content of the first frame. */
function said(file: Buffer): object {
  return {
    frames: file.readUInt32BE(44),
    bytes: file.readUInt32BE(48),
    delayAndPadding: file.readUIntBE(177, 3),
    musicBytes: file.readUInt32BE(184),
    musicChecksum: file.readUInt16BE(188),
  }
}

/** CRC-16/ARC, bit by bit. */
function crcOf(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1
  }
  return crc
}
