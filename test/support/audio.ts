import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { sourceOf } from '#shared/audio/ranged.ts'
import { type Channel, RATE } from './synth.ts'

/** Interleaved 16-bit numbers. */
export function int16(channels: readonly Channel[]): Int16Array {
  const samples = channels[0]?.length ?? 0
  const pcm = new Int16Array(samples * channels.length)
  for (const [c, channel] of channels.entries()) {
    for (let i = 0, at = c; i < samples; i++, at += channels.length) {
      pcm[at] = integer(channel[i] as number, 0x8000)
    }
  }
  return pcm
}

/** A track that is held in memory, left and right by turns. One that is longer than that begins again. */
export function inMemory(pcm: Int16Array, samples = pcm.length / 2): PcmSource {
  return sourceOf(samples, async (start, end) => {
    const read = new Int16Array(2 * (end - start))
    for (let at = 0; at < read.length; ) {
      const from = (2 * start + at) % pcm.length
      const piece = pcm.subarray(from, from + read.length - at)
      read.set(piece, at)
      at += piece.length
    }
    return read
  })
}

interface WavOptions {
  readonly rate?: number
  /** 8, 16, 24, 32; 32, 64 with `float`. */
  readonly bits?: number
  readonly float?: boolean
  /** Writes WAVE_FORMAT_EXTENSIBLE with this channel mask. */
  readonly mask?: number
  /** The size in the data chunk. Default: the real one. */
  readonly dataSize?: number
  /** The size in the RIFF header. Default: the real one. */
  readonly riffSize?: number
  /** Chunks before the data chunk. */
  readonly before?: readonly Buffer[]
  /** RF64 with a ds64 chunk. */
  readonly rf64?: boolean
}

/** A WAV or RF64 file. */
export function wav(channels: readonly Channel[], options: WavOptions = {}): Buffer {
  const { rate = RATE, bits = 16, float = false, mask, rf64 = false } = options
  const body = samplesOf(channels, bits, float ? 'float' : 'int', false, bits === 8)
  const block = (bits / 8) * channels.length
  const format = Buffer.alloc(mask === undefined ? 16 : 40)
  format.writeUInt16LE(mask === undefined ? (float ? 3 : 1) : 0xfffe, 0)
  format.writeUInt16LE(channels.length, 2)
  format.writeUInt32LE(rate, 4)
  format.writeUInt32LE(rate * block, 8)
  format.writeUInt16LE(block, 12)
  format.writeUInt16LE(bits, 14)
  if (mask !== undefined) {
    format.writeUInt16LE(22, 16)
    format.writeUInt16LE(bits, 18)
    format.writeUInt32LE(mask, 20)
    format.writeUInt16LE(float ? 3 : 1, 24)
    Buffer.from('000000001000800000aa00389b71', 'hex').copy(format, 26)
  }
  const ds64 = Buffer.alloc(28)
  const dataSize = rf64 && (options.dataSize ?? 0) >= 2 ** 32 ? undefined : options.dataSize
  const data = chunk('data', body, dataSize ?? (rf64 ? 0xffffffff : body.length))
  const inner: Buffer[] = [
    ...(rf64 ? [chunk('ds64', ds64)] : []),
    chunk('fmt ', format),
    ...(options.before ?? []),
    data,
  ]
  const size = 4 + inner.reduce((sum, each) => sum + each.length, 0)
  if (rf64) {
    const [first = data] = inner
    first.writeBigUInt64LE(BigInt(options.riffSize ?? size), 8)
    first.writeBigUInt64LE(BigInt(options.dataSize ?? body.length), 16)
    first.writeBigUInt64LE(BigInt(body.length / block), 24)
  }
  const head = Buffer.from(`${rf64 ? 'RF64' : 'RIFF'}\0\0\0\0WAVE`, 'latin1')
  const riffSize = rf64 && (options.riffSize ?? 0) >= 2 ** 32 ? undefined : options.riffSize
  head.writeUInt32LE(riffSize ?? (rf64 ? 0xffffffff : size), 4)
  return Buffer.concat([head, ...inner])
}

/** Writes a sparse RF64 file: `silent` samples of silence, which take no disk space, and then these. */
export async function sparseRf64(
  path: string,
  silent: number,
  channels: readonly Channel[],
  options: Pick<WavOptions, 'rate' | 'bits'> = {},
): Promise<void> {
  const block = ((options.bits ?? 16) / 8) * channels.length
  const end = wav(channels, options).subarray(44)
  const dataSize = silent * block + end.length
  const none = channels.map(() => new Float64Array(0))
  const head = wav(none, { ...options, rf64: true, dataSize, riffSize: dataSize + 72 })
  const file = await open(path, 'w')
  try {
    await file.write(head, 0, head.length, 0)
    await file.write(end, 0, end.length, head.length + silent * block)
  } finally {
    await file.close()
  }
}

/** A chunk of a RIFF file, padded to an even length. */
export function chunk(id: string, body: Uint8Array, size = body.length): Buffer {
  const head = Buffer.alloc(8)
  head.write(id, 'latin1')
  head.writeUInt32LE(size, 4)
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)])
}

/** An AIFF file, or with `compression` an AIFF-C one. */
export function aiff(
  channels: readonly Channel[],
  {
    rate = RATE,
    bits = 16,
    compression,
    offset = 0,
  }: { rate?: number; bits?: number; compression?: string; offset?: number } = {},
): Buffer {
  const encoding = /^fl/i.test(compression ?? '') ? 'float' : 'int'
  const body = samplesOf(channels, bits, encoding, compression !== 'sowt', false)
  const common = Buffer.alloc(18)
  common.writeUInt16BE(channels.length, 0)
  common.writeUInt32BE(channels[0]?.length ?? 0, 2)
  common.writeUInt16BE(bits, 6)
  const exponent = Math.floor(Math.log2(rate))
  common.writeUInt16BE(16_383 + exponent, 8)
  common.writeBigUInt64BE(BigInt(rate) << BigInt(63 - exponent), 10)
  const kind = compression ? Buffer.from(`${compression}\0\0`, 'latin1') : Buffer.alloc(0)
  const sound = Buffer.alloc(8 + offset)
  sound.writeUInt32BE(offset, 0)
  const inner = [
    bigChunk('COMM', Buffer.concat([common, kind])),
    bigChunk('SSND', Buffer.concat([sound, body])),
  ]
  const head = Buffer.from(`FORM\0\0\0\0${compression ? 'AIFC' : 'AIFF'}`, 'latin1')
  head.writeUInt32BE(4 + inner.reduce((sum, each) => sum + each.length, 0), 4)
  return Buffer.concat([head, ...inner])
}

function bigChunk(id: string, body: Uint8Array): Buffer {
  const whole = chunk(id, body)
  whole.writeUInt32BE(body.length, 4)
  return whole
}

/** FLAC of a WAV file's bytes, made by ffmpeg. `total: false` as from an encoder that could not seek back. */
export async function flac(
  wavFile: Uint8Array,
  { bits = 16, total = true, args = [] as readonly string[] } = {},
): Promise<Buffer> {
  const format = bits > 16 ? ['-sample_fmt', 's32', '-bits_per_raw_sample', '24'] : []
  const made = await ffmpeg(
    ['-i', 'pipe:0', ...args, '-c:a', 'flac', ...format, '-f', 'flac', 'pipe:1'],
    wavFile,
  )
  // On a pipe ffmpeg cannot go back to fill in the total, so it is set here.
  if (total) {
    const view = new DataView(wavFile.buffer, wavFile.byteOffset)
    const dataAt = Buffer.from(wavFile).indexOf('data', 12, 'latin1')
    const samples = view.getUint32(dataAt + 4, true) / view.getUint16(32, true)
    made.writeUIntBE(made.readUIntBE(21, 1) & 0xf0, 21, 1)
    made.writeUInt32BE(samples, 22)
  }
  return made
}

/**
 * A WAV file's music, compressed by ffmpeg as it does for a file of this name: to a file, so that it can go back and
 * fill in what it learns at the end.
 */
export async function coded(
  name: string,
  wavFile: Uint8Array,
  args: readonly string[] = [],
): Promise<Buffer> {
  return (await codedAs(wavFile, [[name, args]]))[0] as Buffer
}

/** The same for several names, by one ffmpeg: to start it takes longer than to encode some seconds. */
export async function codedAs(
  wavFile: Uint8Array,
  wanted: readonly (readonly [name: string, args: readonly string[], ...rest: unknown[]])[],
): Promise<Buffer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'coded-'))
  try {
    const paths = wanted.map(([name], n) => join(folder, `${n}-${name}`))
    const outputs = wanted.flatMap(([, args], n) => [...args, paths[n] as string])
    await ffmpeg(['-i', 'pipe:0', ...outputs], wavFile)
    return await Promise.all(paths.map((path) => readFile(path)))
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** What ffmpeg writes to its standard output when given these bytes. @throws Error with what it says when it fails. */
export async function ffmpeg(
  args: readonly string[],
  input: Uint8Array = new Uint8Array(0),
): Promise<Buffer> {
  const child = spawn('ffmpeg', ['-v', 'warning', ...args], { stdio: 'pipe' })
  const out: Buffer[] = []
  const said: Buffer[] = []
  child.stdout.on('data', (piece) => out.push(piece))
  child.stderr.on('data', (piece) => said.push(piece))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`ffmpeg ${args.join(' ')}: ${Buffer.concat(said)}`)
  return Buffer.concat(out)
}

/** `full` is the number of full scale, which is itself one too many. */
function integer(x: number, full: number): number {
  return Math.max(-full, Math.min(full - 1, Math.round(x * full)))
}

function samplesOf(
  channels: readonly Channel[],
  bits: number,
  encoding: 'int' | 'float',
  bigEndian: boolean,
  unsigned: boolean,
): Buffer {
  // Most of them are of this kind.
  if (encoding === 'int' && bits === 16 && !bigEndian)
    return Buffer.from(int16(channels).buffer)
  const bytes = bits / 8
  const samples = channels[0]?.length ?? 0
  const body = Buffer.alloc(samples * channels.length * bytes)
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const full = 2 ** (bits - 1)
  const put = (at: number, x: number) => {
    if (encoding === 'float' && bits === 32) view.setFloat32(at, x, !bigEndian)
    else if (encoding === 'float') view.setFloat64(at, x, !bigEndian)
    else if (bits === 8) view.setInt8(at, integer(x, full) + (unsigned ? 128 : 0))
    else if (bits === 16) view.setInt16(at, integer(x, full), !bigEndian)
    else if (bits === 32) view.setInt32(at, integer(x, full), !bigEndian)
    else {
      const number = integer(x, full)
      view.setInt16(at + (bigEndian ? 0 : 1), number >> 8, !bigEndian)
      view.setInt8(at + (bigEndian ? 2 : 0), number)
    }
  }
  for (const [c, channel] of channels.entries()) {
    for (let i = 0, at = c * bytes; i < samples; i++, at += channels.length * bytes)
      put(at, channel[i] ?? 0)
  }
  return body
}
