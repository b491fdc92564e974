import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { PermanentError } from '../errors.ts'
import { checkRateAndChannels } from './chunks.ts'
import type { Coded, CodedLayout } from './layout.ts'

/** What one frame may take to come out, pictures before it included. */
const MOST_BYTES = 40 << 20

/**
 * What the decoder of a compressed master gives: the rate and channels of the first frame that comes out of it (an
 * AAC header may say half of the rate). By ffmpeg, not ffprobe, which insists on decoders for pictures too.
 * @throws PermanentError MASTER_UNREADABLE when nothing can be decoded; Error when ffmpeg is not there or killed.
 */
export async function firstFrame(
  coded: Coded,
  feed: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<CodedLayout> {
  const said = await decodeOne(coded, feed, signal)
  const [, channels, layout, rate] =
    / channels:(\d+) chlayout:(.+) rate:(\d+) nb_samples:/.exec(said) ?? []
  if (rate === undefined) {
    const faults = said.split('\n').filter((line) => /error|invalid|not |fail/i.test(line))
    const why = faults.join('; ').slice(0, 500) || 'no frame of it can be decoded'
    throw new PermanentError('MASTER_UNREADABLE', `${coded.container}, ${coded.codec}: ${why}`)
  }
  checkRateAndChannels(0, Number(rate), Number(channels))
  const mask = MASKS[layout ?? ''] ?? 0
  return { ...coded, rate: Number(rate), channels: Number(channels), mask }
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

/** What ffmpeg says while it decodes one frame of a stream: one demuxer, one decoder, on a pipe. */
async function decodeOne(
  { demuxer, decoder }: Coded,
  feed: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted()
  const args = ['-hide_banner', '-nostats', '-v', 'info', '-nostdin', '-threads', '1']
  args.push('-f', demuxer, '-protocol_whitelist', 'pipe', '-format_whitelist', demuxer)
  args.push('-codec_whitelist', decoder, '-i', 'pipe:0', '-vn', '-map', '0:a:0')
  args.push('-af', 'ashowinfo', '-frames:a', '1', '-f', 'null', '-')
  const stdio = ['pipe', 'ignore', 'pipe'] as const
  const child = spawn('ffmpeg', args, { stdio: [...stdio], signal, killSignal: 'SIGKILL' })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  // It stops reading when it has seen enough.
  child.stdin.on('error', () => {})
  try {
    const feeding = feedInto(child.stdin, feed)
    const [said, code] = await Promise.all([text(child.stderr), exited, feeding])
    if (code === null) throw new Error('ffmpeg was killed')
    return said
  } catch (error) {
    signal.throwIfAborted()
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error('ffmpeg is not installed, or not on the PATH', { cause: error })
  } finally {
    child.kill('SIGKILL')
  }
}

async function feedInto(
  stdin: NodeJS.WritableStream & { readonly destroyed: boolean },
  feed: AsyncIterable<Uint8Array>,
): Promise<void> {
  let bytes = 0
  for await (const piece of feed) {
    if (stdin.destroyed || bytes > MOST_BYTES) break
    bytes += piece.length
    if (!stdin.write(piece)) await writable(stdin)
  }
  stdin.end()
}

function writable(stream: NodeJS.WritableStream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = () => {
    for (const event of ['drain', 'close', 'error']) stream.removeListener(event, done)
    resolve()
  }
  for (const event of ['drain', 'close', 'error']) stream.once(event, done)
  return promise
}
