import { spawn } from 'node:child_process'
import { buffer } from 'node:stream/consumers'
import { BOUNDED_FFMPEG, NO_FFMPEG } from '#shared/audio/bounded.ts'
import { decodeFault } from '#shared/audio/decode-fault.ts'
import { checkDescriptors } from '#shared/audio/descriptors.ts'
import { MAX_STREAMS } from '#shared/audio/ffmpeg.ts'
import { oneLine } from '#shared/audio/one-line.ts'
import { measured } from '#shared/underway/measured.ts'
import { feedInto } from './feed.ts'
import { checkRateAndChannels } from './iff/chunks.ts'
import type { Coded, CodedLayout } from './layout.ts'

/** Maximum number of bytes that ffmpeg gets until it returns one frame, including pictures before it. */
const MAX_BYTES = 40 << 20
/** Maximum core time of that, seconds. Usually a fiftieth is enough; with an index of 32 MB it takes a second. */
const MAX_SECONDS = 3

/**
 * Completes the layout of a compressed master with the rate and the channels of the first decoded frame (an AAC
 * header may say half of the rate). It uses ffmpeg, because ffprobe needs decoders for pictures too. It reads
 * the header of the WAV that ffmpeg makes of the frame, not ffmpeg's messages, because titles and comments
 * appear in those.
 * @throws PermanentError MASTER_UNREADABLE when nothing can be decoded; Error when ffmpeg is missing or was
 * killed
 */
export async function firstFrame(
  coded: Coded,
  feed: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<CodedLayout> {
  const { wav, said } = await decodeOne(coded, feed, signal)
  const format = formatOf(wav)
  if (format === undefined) {
    const cause = new Error(oneLine(said).slice(0, 500))
    const { container, codec } = coded
    const what = container === codec ? codec : `${container}, ${codec}`
    throw decodeFault(what, 'no sound', { cause })
  }
  checkRateAndChannels(0, format.rate, format.channels)
  return { ...coded, ...format }
}

/** The format in the header of ffmpeg's WAV; undefined when no sample follows it. */
function formatOf(wav: Buffer): Pick<CodedLayout, 'rate' | 'channels' | 'mask'> | undefined {
  const data = wav.indexOf('data', 12, 'latin1')
  if (data < 0 || wav.length <= data + 8) return undefined
  const isExtensible = wav.readUInt16LE(20) === 0xfffe
  return {
    rate: wav.readUInt32LE(24),
    channels: wav.readUInt16LE(22),
    mask: isExtensible ? wav.readUInt32LE(40) : 0,
  }
}

/**
 * Decodes one frame of a stream from a pipe into a WAV file, with one demuxer and one decoder. Also returns
 * ffmpeg's messages.
 */
async function decodeOne(
  { demuxer, decoder }: Coded,
  feed: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ wav: Buffer; said: string }> {
  signal.throwIfAborted()
  const args = ['-hide_banner', '-nostats', '-v', 'error', '-nostdin', '-threads', '1']
  args.push('-f', demuxer, '-protocol_whitelist', 'pipe', '-format_whitelist', demuxer)
  args.push('-codec_whitelist', decoder, '-c:a', decoder)
  args.push('-max_streams', `${MAX_STREAMS}`, '-i', 'pipe:0')
  args.push('-vn', '-map', '0:a:0', '-frames:a', '1', '-c:a', 'pcm_s16le')
  args.push(
    '-timelimit',
    `${MAX_SECONDS}`,
    '-map_metadata',
    '-1',
    '-fflags',
    '+bitexact',
    '-f',
    'wav',
    'pipe:1',
  )
  checkDescriptors()
  const child = spawn(BOUNDED_FFMPEG, args, { signal, killSignal: 'SIGKILL' })
  measured(child)
  const exited = new Promise<number | string | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(signal === 'SIGXCPU' ? signal : code))
  })
  // ffmpeg stops reading when it has seen enough.
  child.stdin.on('error', () => {})
  try {
    const feeding = feedInto(child.stdin, feed, MAX_BYTES)
    const outputs = [buffer(child.stdout), firstOf(child.stderr)] as const
    const [wav, said, code] = await Promise.all([...outputs, exited, feeding])
    if (code === null) throw new Error('ffmpeg was killed')
    if (code === NO_FFMPEG) throw new Error('ffmpeg is not installed, or not on the PATH')
    return { wav, said }
  } catch (error) {
    signal.throwIfAborted()
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error('ffmpeg is not installed, or not on the PATH', { cause: error })
  } finally {
    child.kill('SIGKILL')
  }
}

/** The beginning of a stream as text. The rest is read and discarded. */
async function firstOf(stream: AsyncIterable<Buffer>): Promise<string> {
  let said = Buffer.alloc(0)
  for await (const piece of stream) {
    if (said.length < MAX_SAID_BYTES) said = Buffer.concat([said, piece])
  }
  return said.toString('utf8', 0, MAX_SAID_BYTES)
}

const MAX_SAID_BYTES = 4096
