import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { wavPart } from '#shared/audio/wav-part.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { judgeKey, judgeTempo, KEY_SCORES } from './measures.ts'
import { type KeySummary, summariseKey, summariseTempo, type TempoSummary } from './summary.ts'
import type { Truth } from './truth.ts'

/** The result of another program for one file. */
export interface PeerEstimate {
  readonly peer: string
  readonly truth: Truth
  readonly seconds: number
  /** Core-seconds of the program and its children, reading the file included. */
  readonly coreSeconds: number
  /** Undefined when the program failed or its output can't be parsed. */
  readonly found: PeerFound | undefined
}

interface PeerFound {
  readonly bpm?: number
  readonly key?: string
}

export interface PeerSummary {
  readonly name: string
  readonly coreSecondsPerMinute: number | null
  readonly failed: number
  readonly tempo?: TempoSummary
  readonly key?: KeySummary
}

interface Peer {
  readonly name: string
  readonly estimates: 'tempo' | 'key'
  /** Programs that must be on PATH. */
  readonly programs: readonly string[]
  /** A line of bash; `$1` is a 16-bit 44.1 kHz stereo WAV. */
  readonly command: string
  readonly read: (output: string) => PeerFound | undefined
}

const ESSENTIA = fileURLToPath(new URL('./essentia-peer.ts', import.meta.url))
/** Time limit of a program, ms: Essentia does not always return. */
const LIMIT_MS = 300_000

const PEERS: readonly Peer[] = [
  {
    name: 'aubio tempo',
    estimates: 'tempo',
    programs: ['aubio'],
    command: 'aubio tempo "$1"',
    read: firstBpm,
  },
  {
    name: 'aubiotrack, median of its beats',
    estimates: 'tempo',
    programs: ['aubiotrack'],
    command: 'aubiotrack "$1"',
    read: medianOfBeats,
  },
  {
    name: 'bpm-tools',
    estimates: 'tempo',
    programs: ['bpm', 'sox'],
    command: 'sox "$1" -t raw -r 44100 -e floating-point -b 32 -c 1 - | bpm',
    read: firstBpm,
  },
  ...(['degara', 'multifeature'] as const).map(
    (method): Peer => ({
      name: `essentia RhythmExtractor2013 ${method}`,
      estimates: 'tempo',
      programs: [],
      command: `"${process.execPath}" "${ESSENTIA}" ${method} "$1"`,
      read: firstBpm,
    }),
  ),
  ...(['defaults', 'best'] as const).map(
    (how): Peer => ({
      name: `essentia KeyExtractor, ${how === 'best' ? 'bgate, 4096/4096' : how}`,
      estimates: 'key',
      programs: [],
      command: `"${process.execPath}" "${ESSENTIA}" ${how} "$1"`,
      read: (output) => ({ key: output.trim() }),
    }),
  ),
]

/** Runs every other installed program on a file. Call it for one file at a time. */
export async function askPeers(
  truth: Truth,
  pcm: PcmSource,
  signal: AbortSignal,
): Promise<readonly PeerEstimate[]> {
  const folder = await mkdtemp(join(tmpdir(), 'accuracy-peers-'))
  try {
    const path = join(folder, 'track.wav')
    await writeFile(path, wavPart(await pcm.read(0, pcm.samples, signal)), { signal })
    const seconds = pcm.samples / SAMPLE_RATE
    const estimates: PeerEstimate[] = []
    for (const { name, estimates: what, programs, command, read } of PEERS) {
      const asked = what === 'tempo' ? truth.bpm !== undefined : truth.key !== undefined
      if (!asked || !programs.every(isInstalled)) continue
      const { output, coreSeconds } = await timed(command, path, signal)
      const found = output === undefined ? undefined : read(output)
      estimates.push({ peer: name, truth, seconds, coreSeconds, found })
    }
    return estimates
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function summarisePeers(estimates: readonly PeerEstimate[]): readonly PeerSummary[] {
  return PEERS.flatMap(({ name, estimates: what }) => {
    const own = estimates.filter(({ peer }) => peer === name)
    if (own.length === 0) return []
    const minutes = own.reduce((sum, { seconds }) => sum + seconds, 0) / 60
    const coreSeconds = own.reduce((sum, each) => sum + each.coreSeconds, 0)
    return {
      name,
      coreSecondsPerMinute: minutes > 0 ? coreSeconds / minutes : null,
      failed: own.filter(({ found }) => found === undefined).length,
      ...(what === 'tempo'
        ? { tempo: summariseTempo(own.flatMap(tempoVerdict)) }
        : { key: summariseKey(own.flatMap(keyVerdict)) }),
    }
  })
}

function tempoVerdict({ truth, found }: PeerEstimate) {
  return truth.bpm === undefined ? [] : judgeTempo(found?.bpm ?? null, truth.bpm)
}

function keyVerdict({ truth, found }: PeerEstimate) {
  if (!truth.key) return []
  const [tonic = null, scale] = found?.key?.split(' ') ?? []
  const named = scale === 'major' || scale === 'minor' ? scale : null
  const relation = judgeKey({ tonic, scale: named }, truth.key)
  return { relation, score: KEY_SCORES[relation] }
}

/** Runs a line of bash, which prints at its end the processor time of its children. */
async function timed(
  command: string,
  path: string,
  signal: AbortSignal,
): Promise<{ output: string | undefined; coreSeconds: number }> {
  const script = `set -o pipefail; ${command} 2>/dev/null; code=$?; times >&2; exit $code`
  const child = spawn('bash', ['-c', script, 'bash', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]),
  })
  const ended = new Promise<boolean>((resolve) => {
    child.on('error', () => resolve(false))
    child.on('close', (code) => resolve(code === 0))
  })
  const [output, said, fine] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    ended,
  ])
  return { output: fine ? output : undefined, coreSeconds: childrenSeconds(said) }
}

/** The second line of bash's `times` is of its children, e.g. `0m1.250s 0m0.031s`. */
function childrenSeconds(said: string): number {
  const line = said.trim().split('\n').at(-1) ?? ''
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds),
    0,
  )
}

function firstBpm(output: string): PeerFound | undefined {
  const bpm = Number.parseFloat(output)
  return bpm > 0 ? { bpm } : undefined
}

/** One time of a beat a line, seconds. */
function medianOfBeats(output: string): PeerFound | undefined {
  const beats = output.trim().split('\n').map(Number)
  const gaps = beats.slice(1).map((time, i) => time - (beats[i] as number))
  const median = gaps.toSorted((a, b) => a - b)[Math.trunc(gaps.length / 2)]
  return median !== undefined && median > 0 ? { bpm: 60 / median } : undefined
}

function isInstalled(program: string): boolean {
  return spawnSync('bash', ['-c', 'command -v "$1"', 'bash', program]).status === 0
}
