import type { ChildProcess } from 'node:child_process'
import { PassThrough, Readable } from 'node:stream'
import ffmpeg from 'fluent-ffmpeg'
import { SAMPLE_RATE } from '../contracts/pcm-format.ts'
import { scheduledProcess } from '../underway/scheduled.ts'
import { underway } from '../underway/underway.ts'
import { BOUNDED_FFMPEG, NO_FFMPEG } from './bounded.ts'
import { codecOf, decodeFault } from './decode-fault.ts'
import { checkDescriptors } from './descriptors.ts'
import { oneLine } from './one-line.ts'

/** The input of `convert`: raw samples, or a stream to decode. */
export interface Feed {
  /** The only demuxer: the format of raw samples (`u8`, `s24le`, `f32le`, `alaw`), or `flac`, `mp3`, `mov`, … */
  readonly demuxer: string
  /** The only decoder; absent for raw samples. */
  readonly decoder?: string
  /** The sample rate, Hz. */
  readonly rate: number
  readonly channels: number
  /** The weights of each channel in the left and in the right output. */
  readonly mix: readonly (readonly [number, number])[]
  /** The number of samples at `rate` to skip at the beginning; below 0: the number of samples of silence to prepend. */
  readonly skip: number
  /** ffmpeg reads at most this many seconds, whatever the master claims. */
  readonly maxSeconds: number
  /** Called with each line of ffmpeg's complaints while it decodes. All have been reported when the last piece comes. */
  readonly onComplaint?: (line: string) => void
}

/**
 * Converts any input to 16-bit 44.1 kHz stereo, little-endian, left and right interleaved, in pieces of any length. One
 * second of silence follows the last sample, because a resampler outputs nothing for what its filter cannot span.
 * Numbers are rounded without dither, so that silence stays silence; beyond full scale they clip.
 *
 * ffmpeg gets the format of raw samples explicitly, and for anything else one demuxer and one decoder, on a pipe: no
 * byte of an upload can make it open anything else. A stream whose rate or channels change is refused.
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
    // Larger frames, because small ones make resampling more expensive.
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
      // By default the decoder outputs frames whose checksum is wrong. With this they are dropped, and found missing.
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

/** Whether ffmpeg has to check the frames of a FLAC stream. In Ogg the pages have checksums of their own. */
function isCheckedFlac({ demuxer, decoder }: Feed): boolean {
  return decoder === 'flac' && demuxer !== 'ogg'
}

/** The maximum number of streams in an M4A file, which may have a picture and chapters in addition to its music. */
export const MAX_STREAMS = 4

/**
 * Encodes 16-bit 44.1 kHz stereo (little-endian bytes) as AAC-LC in ADTS at a constant bit rate. For n samples the
 * encoder yields ceil(n / 1024) + 1 packets; the caller has to count them.
 * @param bitrate Bits per second.
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
 * Encodes 16-bit 44.1 kHz stereo (little-endian bytes) as MP3, joint stereo at a constant bit rate: frames only,
 * without the one that has the length.
 * @param bitrate Bits per second.
 * @param quality LAME's quality: 0 (slowest) to 9 (fastest).
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
 * Encodes 16-bit 44.1 kHz stereo (little-endian bytes) as FLAC. On a pipe ffmpeg cannot seek back, so the header lacks
 * the length and the checksum of the samples.
 * @param level 0 (fastest) to 12 (smallest).
 */
export function encodeFlac(
  pcm: AsyncIterable<Uint8Array>,
  level: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  return encoded(pcm, 'flac', ['-compression_level', `${level}`], 'flac', signal)
}

/** Encodes 16-bit 44.1 kHz stereo by one encoder, without metadata: the bytes depend on the samples alone. */
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

/** The filter that mixes the channels to left and right; empty if the input is stereo already. */
function pan(mix: Feed['mix']): string {
  if (mix.length === 2) return ''
  const side = (i: 0 | 1) =>
    mix
      .flatMap((weights, c) => (weights[i] ? [`${weights[i].toFixed(9)}*c${c}`] : []))
      .join('+')
  return `pan=stereo|c0=${side(0)}|c1=${side(1)}`
}

/**
 * The resampler: swresample rather than soxr, because every build of ffmpeg has it, and the same master should yield the
 * same bytes everywhere. With these settings the error from 48 to 44.1 kHz is 135 dB below tones up to 15 kHz and
 * 118 dB at 20 kHz, and the cost is that of soxr.
 */
function resampler(rate: number): string {
  if (rate === SAMPLE_RATE) return ''
  return `aresample=${SAMPLE_RATE}:filter_size=128:cutoff=0.98:kaiser_beta=12:exact_rational=1:internal_sample_fmt=fltp`
}

/** ffmpeg ran and exited with an error of its own. */
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
 * Pipes `input` through one ffmpeg and yields its output. No matter how this ends (end of output, an error, an abort, a
 * consumer that stops), the child process has exited by then.
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
  // fluent-ffmpeg kills ffmpeg 20 ms after its output closes, even if it is still running. So it must not close.
  const sink = new PassThrough({ autoDestroy: false, emitClose: false })
  // The iterator reports the error. Without a listener it would also end the process.
  sink.on('error', () => {})
  const command = configure(ffmpeg(source, { stdoutLines: 20 }).addOption('-v', 'repeat+error'))
  command.setFfmpegPath(BOUNDED_FFMPEG)
  let child: ChildProcess | undefined
  let exited: Promise<unknown> | undefined
  // Begins before the child exists, because its library first asks ffmpeg for its capabilities.
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

/** Ends an input that fails, and reports the error separately, so that ffmpeg never waits for more input. */
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
  const said = oneLine((stderr ?? '').trim().slice(-STDERR_BYTES))
  if (exited) return new FfmpegExit(exited, said)
  return said ? new Error(`${error.message} (${said})`, { cause: error }) : error
}
