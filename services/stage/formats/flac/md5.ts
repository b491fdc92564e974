import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { BOUNDED_FFMPEG } from '#shared/audio/bounded.ts'
import { checkDescriptors } from '#shared/audio/descriptors.ts'
import { flacHead, STREAMINFO } from '#shared/audio/flac-blocks.ts'
import { type Warning, warning } from '#shared/contracts/warnings.ts'
import { measured } from '#shared/underway/measured.ts'
import type { MasterBytes } from '../byte-window.ts'
import { feedInto } from '../feed.ts'
import type { FlacLayout } from '../layout.ts'

/** Position of the MD5 in STREAMINFO. */
const MD5_AT = 18

/** Whether a FLAC stream has an MD5 that can be compared. For other depths ffmpeg returns other bytes. */
export function hasMd5({ streamInfo, bits }: FlacLayout): boolean {
  return bits % 8 === 0 && bits <= 24 && streamInfo.subarray(MD5_AT).some((byte) => byte !== 0)
}

/**
 * A warning if the samples of a whole stream do not have the MD5 in STREAMINFO. Empty if they have, and also if
 * they cannot be decoded, which is reported when they are converted. Source: RFC 9639, 8.2: the MD5 is computed
 * over the original samples, interleaved, little-endian.
 */
export async function md5Warnings(
  { streamInfo, bits, offset, end }: FlacLayout,
  file: MasterBytes,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const promised = Buffer.from(streamInfo.subarray(MD5_AT)).toString('hex')
  async function* stream() {
    yield flacHead([{ type: STREAMINFO, body: streamInfo }])
    yield* file.stream(offset, end, signal)
  }
  const args = ['-hide_banner', '-nostats', '-v', 'quiet', '-nostdin', '-threads', '1']
  args.push('-f', 'flac', '-protocol_whitelist', 'pipe', '-format_whitelist', 'flac')
  args.push('-codec_whitelist', 'flac', '-c:a', 'flac', '-i', 'pipe:0', '-map', '0:a:0')
  args.push('-c:a', bits === 8 ? 'pcm_s8' : `pcm_s${bits}le`, '-f', 'md5', 'pipe:1')
  signal.throwIfAborted()
  checkDescriptors()
  const child = spawn(BOUNDED_FFMPEG, args, { signal, killSignal: 'SIGKILL' })
  measured(child)
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  child.stdin.on('error', () => {})
  child.stderr.resume()
  try {
    const outputs = [text(child.stdout), exited, feedInto(child.stdin, stream())] as const
    const [said, code] = await Promise.all(outputs)
    if (code === null) throw new Error('ffmpeg was killed')
    const [, present] = /^MD5=([0-9a-f]{32})/.exec(said) ?? []
    if (present === undefined || present === promised) return []
    return [
      warning(
        'MD5_MISMATCH',
        'the samples of the FLAC are not those whose MD5 its encoder wrote into it',
      ),
    ]
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    child.kill('SIGKILL')
  }
}
