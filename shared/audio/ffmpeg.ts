import type { ChildProcess } from 'node:child_process'
import { PassThrough, Readable } from 'node:stream'
import ffmpeg from 'fluent-ffmpeg'
import { SAMPLE_RATE } from '../contracts/pcm-format.ts'
import { scheduledProcess } from '../underway/scheduled.ts'
import { underway } from '../underway/underway.ts'
import { BOUNDED_FFMPEG, NO_FFMPEG } from './bounded.ts'
import { codecOf, decodeFault } from './decode-fault.ts'
import { checkDescriptors } from './descriptors.ts'
import { printable } from './one-line.ts'

/** What `convert` is fed with: bare numbers, or a stream to decode. */
export interface Feed {
  /** The one demuxer: for bare numbers as ffmpeg names them (`u8`, `s24le`, `f32le`, `alaw`), else `flac`, `mp3`, `mov`, … */
  readonly demuxer: string
  /** The one decoder; absent for bare numbers. */
  readonly decoder?: string
  /** Hz. */
  readonly rate: number
  readonly channels: number
  /** Weights of each channel in the left and in the right. */
  readonly mix: readonly (readonly [number, number])[]
  /** Samples at `rate` that are decoded and left out; below 0: silence that is put before them. */
  readonly skip: number
  /** ffmpeg reads no further, whatever the master claims. */
  readonly maxSeconds: number
  /** Is called with each line of what ffmpeg complains of while it decodes: all of them, when the last piece has come. */
  readonly onComplaint?: (line: string) => void
}

/**
 * 16-bit 44.1 kHz stereo of anything, little-endian, left and right interleaved, in pieces of any length; a second
 * of silence is put behind the last sample, because a resampler gives nothing of what its filter cannot span.
 * Numbers are rounded without dither, so that silence stays silence; beyond full scale they clip.
 *
 * Bare samples are named to ffmpeg in so many words, and of anything else it gets the one demuxer and the
 * one decoder, on a pipe: no byte of an upload can make it open anything else. A stream whose rate or channels
 * change on the way is refused.
 * @throws PermanentError MASTER_UNREADABLE when ffmpeg refuses a stream; any other fault
 * (no ffmpeg, killed, out of memory) is an ordinary Error. An input that ends early is no error
 * to ffmpeg: count what comes out.
 */
export async function* convert(
  input: AsyncIterable<Uint8Array>,
  feed: Feed,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { demuxer, decoder, rate, channels, skip } = feed
  const filters = [
    skip > 0 ? `atrim=start_sample=${skip}` : '',
    skip < 0 ? `adelay=delays=${-skip}S:all=1` : '',
    'aformat=sample_fmts=fltp',
    pan(feed.mix),
    // Small frames cost a resampler more.
    'asetnsamples=n=16384:p=0',
    `apad=pad_len=${rate}`,
    resampler(rate),
    'aformat=sample_fmts=s16',
  ]
  const pieces = through(input, signal, (command) =>
    listening(command, feed.onComplaint)
      .inputFormat(demuxer)
      .inputOptions(['-nostdin', '-protocol_whitelist', 'pipe'])
      .inputOptions(['-format_whitelist', demuxer])
      .inputOptions(['-codec_whitelist', decoder ?? `pcm_${demuxer}`])
      .inputOptions(['-max_streams', `${MAX_STREAMS}`, '-threads', '1', '-reinit_filter', '0'])
      .inputOptions(
        decoder === undefined ? ['-ar', `${rate}`, '-ac', `${channels}`] : ['-c:a', decoder],
      )
      // By default the decoder plays frames whose checksum is wrong; so they are dropped, and missed.
      .inputOptions(isCheckedFlac(feed) ? ['-err_detect', 'crccheck+explode'] : [])
      .inputOptions(['-t', `${feed.maxSeconds}`])
      .noVideo()
      .audioFilters(filters.filter((filter) => filter !== ''))
      .audioCodec('pcm_s16le')
      .outputOptions(['-map', '0:a:0', '-filter_threads', '1'])
      .format('s16le'),
  )
  try {
    yield* pieces
  } catch (error) {
    if (decoder === undefined || !(error instanceof FfmpegExit)) throw error
    throw decodeFault(`a stream of ${codecOf(decoder)}`, 'breaks off', { cause: error })
  }
}

function listening(command: ffmpeg.FfmpegCommand, onLine: Feed['onComplaint']) {
  return onLine === undefined ? command : command.on('stderr', onLine)
}

/** The pages of Ogg have checksums of their own. */
function isCheckedFlac({ demuxer, decoder }: Feed): boolean {
  return decoder === 'flac' && demuxer !== 'ogg'
}

/** An M4A file may hold a picture and chapters beside its music. */
export const MAX_STREAMS = 4

/**
 * AAC-LC of 16-bit 44.1 kHz stereo (little-endian bytes) as ADTS, at a constant bit rate.
 * For n samples the encoder gives ceil(n / 1024) + 1 packets: count them.
 * @param bitrate bits per second
 */
export function encodeAac(
  pcm: AsyncIterable<Uint8Array>,
  bitrate: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  // The fast coder costs the same on any music; two-loop takes two to five times as long on some.
  return encoded(pcm, 'aac', ['-b:a', `${bitrate}`, '-aac_coder', 'fast'], 'adts', signal)
}

/**
 * MP3 of 16-bit 44.1 kHz stereo (little-endian bytes), joint stereo at a constant bit rate: bare frames, without
 * the one that tells a player the length.
 * @param bitrate bits per second
 * @param quality LAME's: 0 the slowest to 9 the fastest
 */
export function encodeMp3(
  pcm: AsyncIterable<Uint8Array>,
  bitrate: number,
  quality: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const coder = ['-b:a', `${bitrate}`, '-compression_level', `${quality}`]
  const bare = ['-write_xing', '0', '-id3v2_version', '0', '-write_id3v1', '0']
  return encoded(pcm, 'libmp3lame', [...coder, ...bare], 'mp3', signal)
}

/**
 * FLAC of 16-bit 44.1 kHz stereo (little-endian bytes). On a pipe ffmpeg cannot go back, so the header lacks the
 * length and the checksum of the samples.
 * @param level 0 the fastest to 12 the smallest
 */
export function encodeFlac(
  pcm: AsyncIterable<Uint8Array>,
  level: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  return encoded(pcm, 'flac', ['-compression_level', `${level}`], 'flac', signal)
}

/** What one coder makes of 16-bit 44.1 kHz stereo; its bytes tell nothing but the samples. */
async function* encoded(
  pcm: AsyncIterable<Uint8Array>,
  codec: string,
  options: readonly string[],
  format: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  yield* through(pcm, signal, (command) =>
    command
      .inputFormat('s16le')
      .inputOptions(['-nostdin', '-protocol_whitelist', 'pipe', '-threads', '1'])
      .inputOptions(['-ar', `${SAMPLE_RATE}`, '-ac', '2'])
      .noVideo()
      .audioCodec(codec)
      .outputOptions([...options, '-flags:a', '+bitexact', '-fflags', '+bitexact'])
      .outputOptions(['-map_metadata', '-1', '-threads', '1', '-flush_packets', '0'])
      .format(format),
  )
}

/** Left and right as weighted sums; nothing where the input is stereo already. */
function pan(mix: Feed['mix']): string {
  if (mix.length === 2) return ''
  const side = (i: 0 | 1) =>
    mix
      .flatMap((weights, c) => (weights[i] ? [`${weights[i].toFixed(9)}*c${c}`] : []))
      .join('+')
  return `pan=stereo|c0=${side(0)}|c1=${side(1)}`
}

/**
 * swresample rather than soxr, because every build of ffmpeg has it and the same master should give
 * the same bytes everywhere. So set, tones up to 15 kHz come through 48 → 44.1 kHz with an error
 * 135 dB below them, at 20 kHz 118 dB, and the cost is that of soxr.
 */
function resampler(rate: number): string {
  if (rate === SAMPLE_RATE) return ''
  return `aresample=${SAMPLE_RATE}:filter_size=128:cutoff=0.98:kaiser_beta=12:exact_rational=1:internal_sample_fmt=fltp`
}

/** ffmpeg ran, and gave up by itself. */
class FfmpegExit extends Error {
  override readonly name = 'FfmpegExit'
  /** The end of what it wrote to stderr. */
  readonly said: string

  constructor(message: string, said: string) {
    super(said ? `${message} (${said})` : message)
    this.said = said || message
  }
}

const STDERR_BYTES = 2048

interface Ended {
  readonly error?: Error
  readonly stderr?: string | null
}

/**
 * Pipes `input` through one ffmpeg and yields what it writes. However this ends (its end, an
 * error, an abort, a consumer that stops), the child has exited by then.
 */
async function* through(
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  configure: (command: ffmpeg.FfmpegCommand) => ffmpeg.FfmpegCommand,
): AsyncGenerator<Buffer> {
  signal.throwIfAborted()
  checkDescriptors()
  let inputFault: { error: unknown } | undefined
  const source = Readable.from(
    caught(input, (error) => {
      inputFault = { error }
    }),
    { objectMode: false, highWaterMark: 1 << 18 },
  )
  // fluent-ffmpeg kills ffmpeg 20 ms after its output closes, exited or not: so it must not close.
  const sink = new PassThrough({ autoDestroy: false, emitClose: false })
  // Told by the iterator; without a listener it would end the process as well.
  sink.on('error', () => {})
  const command = configure(ffmpeg(source, { stdoutLines: 20 }).addOption('-v', 'repeat+error'))
  command.setFfmpegPath(BOUNDED_FFMPEG)
  let child: ChildProcess | undefined
  let exited: Promise<unknown> | undefined
  // From before it is there: at first its library asks what it can do.
  const counted = underway()?.own?.measure(() =>
    child?.pid === undefined ? undefined : scheduledProcess(child.pid),
  )
  let stopped = false
  const stop = () => {
    stopped = true
    child?.kill('SIGKILL')
  }
  const ended = new Promise<Ended>((resolve) => {
    command.on('start', () => {
      child = (command as { ffmpegProc?: ChildProcess }).ffmpegProc
      if (child?.pid !== undefined) exited = new Promise((r) => child?.once('exit', r))
      if (stopped) stop()
    })
    command.on('end', () => resolve({}))
    command.on('error', (error, _stdout, stderr) => {
      resolve({ error, stderr })
      sink.destroy(error)
    })
  })
  signal.addEventListener('abort', stop, { once: true })
  try {
    command.pipe(sink)
    yield* sink as AsyncIterable<Buffer>
    const { error } = await ended
    if (error) throw error
    if (inputFault) throw inputFault.error
  } catch (error) {
    signal.throwIfAborted()
    if (inputFault) throw inputFault.error
    throw fault(error, await ended)
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
    source.destroy()
    sink.destroy()
    await ended
    await exited
    counted?.()
  }
}

/** An input that fails ends; why is told on the side, so that ffmpeg is never left half fed and running. */
async function* caught(
  input: AsyncIterable<Uint8Array>,
  onError: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* input
  } catch (error) {
    onError(error)
  }
}

function fault(error: unknown, { stderr }: Ended): unknown {
  if (!(error instanceof Error)) return error
  const [exited, code] = /^ffmpeg exited with code (\d+)/.exec(error.message) ?? []
  if (Number(code) === NO_FFMPEG || /cannot find ffmpeg|ENOENT/i.test(error.message)) {
    return new Error('ffmpeg is not installed, or not on the PATH', { cause: error })
  }
  const said = printable((stderr ?? '').trim().slice(-STDERR_BYTES))
  if (exited) return new FfmpegExit(exited, said)
  return said ? new Error(`${error.message} (${said})`, { cause: error }) : error
}
