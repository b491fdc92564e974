/**
 * How right and how dear the analysis is, on WAVs of known tempo and key:
 * `node test/bench/analysis.bench.ts DIR`, where DIR has 16-bit 44.1 kHz stereo WAVs and a
 * truth.tsv of file, seconds, BPM, key (`-` for none), with a heading.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type PcmSource, SAMPLE_RATE } from '#shared/audio/pcm.ts'
import type { KeyEstimate, TempoEstimate } from '#shared/derivative.ts'
import { pitchClassOf } from '#shared/music.ts'
import { WorkerPool } from '../../services/analyze/pool.ts'
import { analyzeTools } from '../../services/analyze/tools.ts'

interface Row {
  readonly file: string
  readonly bpm: number
  readonly key: string | undefined
  readonly tempo: TempoEstimate
  readonly found: KeyEstimate
}

const directory = process.argv[2]
if (!directory) throw new Error('name the directory')
const signal = new AbortController().signal
const pool = new WorkerPool({ threads: availableParallelism() })
const rows: Row[] = []
let minutes = 0
const before = process.cpuUsage()
for (const line of readFileSync(join(directory, 'truth.tsv'), 'utf8')
  .trim()
  .split('\n')
  .slice(1)) {
  const [file = '', , bpm = '', key] = line.split('\t')
  const pcm = wav(join(directory, file))
  minutes += pcm.samples / SAMPLE_RATE / 60
  const tools = analyzeTools({ pcm, signal, pool })
  const [tempo, found] = await Promise.all([tools.tempo(), tools.key()])
  const row = { file, bpm: Number(bpm), key: key === '-' ? undefined : key, tempo, found }
  rows.push(row)
  console.log(
    [
      file.padEnd(50),
      row.bpm.toFixed(2).padStart(7),
      String(tempo.bpm?.toFixed(2) ?? tempo.reason).padStart(7),
      tempo.confidence.toFixed(2),
      row.bpm && accuracy1(row) ? ' ' : accuracy2(row) ? '8' : '!',
      (row.key ?? '').padEnd(9),
      `${found.key} ${found.camelot} ${found.openKey}`.padEnd(17),
      found.confidence.toFixed(2),
      row.key ? mirex(row).toFixed(1) : '',
    ].join(' '),
  )
}
const { user, system } = process.cpuUsage(before)
await pool.close()

const keyed = rows.filter(({ key }) => key)
console.log(`
${rows.length} tracks, ${minutes.toFixed(1)} minutes
tempo  Accuracy1 ${share(rows, accuracy1)}  Accuracy2 ${share(rows, accuracy2)}
       within 0.1 BPM ${share(rows, (row) => within(row, [1]))}, but for the octave ${share(rows, (row) => within(row, [0.5, 1, 2]))}
       Accuracy2 where confidence ${calibration(rows, ({ tempo }) => tempo.confidence, accuracy2)}
key    exact ${share(keyed, (row) => mirex(row) === 1)}  MIREX ${mean(keyed.map(mirex)).toFixed(3)}
       exact where confidence ${calibration(
         keyed,
         ({ found }) => found.confidence,
         (row) => mirex(row) === 1,
       )}
cost   ${((user + system) / 1e6 / minutes).toFixed(3)} core-seconds a minute of audio`)

/** Within 4 %. */
function accuracy1({ bpm, tempo }: Row): boolean {
  return near(tempo.bpm, bpm)
}

/** Within 4 % of the tempo, its double, half, triple or third. */
function accuracy2({ bpm, tempo }: Row): boolean {
  return [1, 2, 1 / 2, 3, 1 / 3].some((ratio) => near(tempo.bpm, bpm * ratio))
}

function near(estimate: number | null, bpm: number): boolean {
  return estimate !== null && Math.abs(estimate / bpm - 1) <= 0.04
}

function within({ bpm, tempo }: Row, octaves: readonly number[]): boolean {
  return octaves.some((octave) => Math.abs((tempo.bpm ?? 0) * octave - bpm) <= 0.1)
}

/** MIREX: exact 1, a fifth off 0.5, relative 0.3, parallel 0.2. */
function mirex({ key, found }: Row): number {
  const [tonic = '', scale] = (key ?? '').split(' ')
  if (found.tonic === null) return 0
  const apart = (pitchClassOf(found.tonic) - pitchClassOf(tonic) + 12) % 12
  if (scale === found.scale) return apart === 0 ? 1 : apart === 7 || apart === 5 ? 0.5 : 0
  if (apart === 0) return 0.2
  return apart === (scale === 'major' ? 9 : 3) ? 0.3 : 0
}

function calibration(
  of: readonly Row[],
  confidence: (row: Row) => number,
  right: (row: Row) => boolean,
): string {
  const bands = [0, 0.5, 0.7, 0.9, 1.01]
  return bands
    .slice(1)
    .map((to, i) => {
      const from = bands[i] ?? 0
      const inside = of.filter((row) => confidence(row) >= from && confidence(row) < to)
      return `${from} to ${Math.min(1, to)}: ${share(inside, right)} of ${inside.length}`
    })
    .join(', ')
}

function share(of: readonly Row[], right: (row: Row) => boolean): string {
  return mean(of.map((row) => Number(right(row)))).toFixed(3)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function wav(path: string): PcmSource {
  const bytes = readFileSync(path)
  const at = bytes.indexOf('data') + 8
  const count = Math.trunc((bytes.length - at) / 4) * 2
  const pcm = new Int16Array(count)
  for (let i = 0; i < count; i++) pcm[i] = bytes.readInt16LE(at + 2 * i)
  return {
    samples: count / 2,
    read: async (start, end) => pcm.subarray(2 * start, 2 * end),
    async *chunks(start, end, { size = SAMPLE_RATE } = {}) {
      for (let i = start; i < end; i += size) {
        yield pcm.subarray(2 * i, 2 * Math.min(end, i + size))
      }
    },
  }
}
