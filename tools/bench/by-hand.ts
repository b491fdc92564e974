// Makes the assets of a WAV of 16-bit 44.1 kHz stereo by hand, with the same tools and nothing around them, in a
// process of its own: node tools/bench/by-hand.ts FILE. Its cost is that of the process.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { essentiaAlone } from './essentia-alone.ts'

const [, , file = ''] = process.argv
const SAMPLE_RATE = 44_100
const WINDOWS = 6
const WINDOW = 30 * SAMPLE_RATE
/** The most samples that the key is estimated from: the first ten minutes. By hand one would not wait for more. */
const KEY_AT_MOST = 600 * SAMPLE_RATE

ffmpeg('-c:a', 'aac', '-b:a', '128k', '-aac_coder', 'fast', '-f', 'adts', '/dev/null')
ffmpeg('-af', 'ebur128', '-f', 'null', '-')
const folder = mkdtempSync(join(tmpdir(), 'by-hand-'))
try {
  const decoded = join(folder, 'mono.f32')
  ffmpeg('-ac', '1', '-c:a', 'pcm_f32le', '-f', 'f32le', decoded)
  analyse(decoded)
} finally {
  rmSync(folder, { recursive: true })
}

function analyse(decoded: string): void {
  const samples = statSync(decoded).size / Float32Array.BYTES_PER_ELEMENT
  const input = openSync(decoded, 'r')
  const read = (start: number, length: number): Float32Array => {
    const mono = new Float32Array(Math.min(length, samples - start))
    readSync(input, mono, 0, mono.byteLength, start * Float32Array.BYTES_PER_ELEMENT)
    return mono
  }
  const { rhythm, key } = essentiaAlone()
  const count = Math.max(1, Math.min(WINDOWS, Math.trunc(samples / WINDOW)))
  for (let i = 0; i < count; i++) {
    const start = Math.trunc(((samples - WINDOW) * i) / Math.max(1, count - 1))
    rhythm(read(start, WINDOW), 'degara')
  }
  key(read(0, KEY_AT_MOST), 'best')
  closeSync(input)
}

function ffmpeg(...output: readonly string[]): void {
  const args = ['-v', 'error', '-nostdin', '-y', '-threads', '1', '-i', file, ...output]
  const { status, stderr } = spawnSync('ffmpeg', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ffmpeg ended with ${status}: ${stderr}`)
}
