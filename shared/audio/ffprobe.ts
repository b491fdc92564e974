import { spawn } from 'node:child_process'
import { buffer } from 'node:stream/consumers'
import { PermanentError } from '../errors.ts'
import { checkRateAndChannels } from './chunks.ts'
import type { Coded, CodedLayout } from './layout.ts'

/** So much of a stream shows what comes out of its decoder. */
const PROBED_BYTES = 1 << 20
const MOST_SAID = 64 * 1024

/**
 * What the decoder of a compressed master gives: its rate and channels, as ffprobe sees them in the first frames (an
 * AAC header may say half of the rate). One demuxer, one decoder, on a pipe.
 * @throws PermanentError MASTER_UNREADABLE when nothing can be decoded; Error when ffprobe is not there or killed.
 */
export async function probed(
  coded: Coded,
  feed: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<CodedLayout> {
  const said = await ffprobe(coded, feed, signal)
  const { streams = [] } = JSON.parse(said.out || '{}') as { streams?: readonly Stream[] }
  const [stream] = streams
  const rate = Number(stream?.sample_rate)
  const channels = Number(stream?.channels)
  if (stream === undefined || !(rate > 0) || !(channels > 0)) {
    const why = said.error || 'no frame of it can be decoded'
    throw new PermanentError('MASTER_UNREADABLE', `${coded.container}, ${coded.codec}: ${why}`)
  }
  checkRateAndChannels(0, rate, channels)
  const seconds = coded.demuxer === 'mov' ? Number(stream.duration) : Number.NaN
  return {
    ...coded,
    rate,
    channels,
    mask: MASKS[stream.channel_layout ?? ''] ?? 0,
    seconds: seconds > 0 ? seconds : undefined,
  }
}

interface Stream {
  readonly sample_rate?: string
  readonly channels?: number
  readonly channel_layout?: string
  readonly duration?: string
}

/** Layouts that are not what `stereoMix` takes as usual for their number of channels. */
const MASKS: Record<string, number> = {
  '2.1': 0xb,
  '3.0(back)': 0x103,
  '4.0': 0x107,
  '3.1': 0xf,
  '4.1': 0x10f,
  'quad(side)': 0x603,
  '5.0(side)': 0x607,
  '5.1(side)': 0x60f,
  '7.1(wide)': 0xff,
}

async function ffprobe(
  { demuxer, decoder }: Coded,
  feed: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ out: string; error: string }> {
  signal.throwIfAborted()
  const args = ['-v', 'error', '-f', demuxer, '-protocol_whitelist', 'pipe']
  args.push('-format_whitelist', demuxer, '-codec_whitelist', decoder, '-select_streams', 'a:0')
  args.push('-show_entries', 'stream=sample_rate,channels,channel_layout,duration')
  args.push('-of', 'json', '-i', 'pipe:0')
  const child = spawn('ffprobe', args, { stdio: 'pipe', signal, killSignal: 'SIGKILL' })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  // It stops reading when it has seen enough.
  child.stdin.on('error', () => {})
  const feeding = (async () => {
    let bytes = 0
    for await (const piece of feed) {
      if (bytes >= PROBED_BYTES || child.stdin.destroyed) break
      bytes += piece.length
      if (!child.stdin.write(piece)) await writable(child.stdin)
    }
    child.stdin.end()
  })()
  try {
    const [out, error, code] = await Promise.all([
      buffer(child.stdout),
      buffer(child.stderr),
      exited,
      feeding,
    ])
    if (code === null) throw new Error('ffprobe was killed')
    const words = error
      .toString('utf8')
      .slice(-MOST_SAID)
      .trim()
      .replace(/\s*\n\s*/g, '; ')
    return { out: out.toString('utf8').slice(0, MOST_SAID), error: words.slice(0, 500) }
  } catch (error) {
    signal.throwIfAborted()
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error('ffprobe is not installed, or not on the PATH', { cause: error })
  } finally {
    child.kill('SIGKILL')
  }
}

function writable(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['drain', 'close', 'error']) stream.once(event, () => resolve())
  })
}
