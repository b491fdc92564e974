/**
 * Measures how accurate and how expensive the analysis is, on files of known tempo and key: `npm run accuracy -- DIR`.
 * docs/reference/accuracy.md says what DIR holds and what the figures mean.
 */
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { analyzeTools } from '../../../services/analyze/tools.ts'
import { WorkerPool } from '../../../services/analyze/worker-pool.ts'
import { askPeers, type PeerEstimate, summarisePeers } from './peers.ts'
import { peerText, summaryText, trackHeading, trackLine } from './print.ts'
import { withSource } from './source.ts'
import { summarise } from './summary.ts'
import { type Estimates, judge, type Track } from './track.ts'
import { readTruth, type Truth, TruthError } from './truth.ts'

const USAGE = 'usage: npm run accuracy -- DIR [--json] [--peers]'
const FAULT = 2

const { directory, json, peers } = options()
const truths = await truthOf(directory)
const say = json ? () => undefined : (line: string) => console.log(line)

const signal = new AbortController().signal
const cores = availableParallelism()
const pool = new WorkerPool({ threads: cores })
say(trackHeading())
const before = process.cpuUsage()
const tracks = await eachOf(truths, cores, analysed)
const { user, system } = process.cpuUsage(before)
await pool.close()
const summary = summarise(tracks, (user + system) / 1e6)
say(`\n${summaryText(summary)}`)

const asked: PeerEstimate[] = []
if (peers) {
  for (const [i, truth] of truths.entries()) {
    if (tracks[i]?.error === null) asked.push(...(await asksPeers(truth)))
  }
}
const peerSummaries = summarisePeers(asked)
for (const peer of peerSummaries) say(`\n${peerText(peer)}`)
if (json) {
  const document = { files: tracks, summary, ...(peers && { peers: peerSummaries }) }
  process.stdout.write(`${JSON.stringify(document)}\n`)
}

async function analysed(truth: Truth): Promise<Track> {
  const estimates = await withSource(join(directory, truth.file), signal, async (pcm) => {
    const tools = analyzeTools({ pcm, signal, pool })
    const [tempo, key] = await Promise.all([tools.tempo(), tools.key()])
    return { samples: pcm.samples, tempo, key } satisfies Estimates
  }).catch((error: unknown) => new Error(sentence(error)))
  const track = judge(truth, estimates)
  say(trackLine(track))
  return track
}

function asksPeers(truth: Truth): Promise<readonly PeerEstimate[]> {
  return withSource(join(directory, truth.file), signal, (pcm) => askPeers(truth, pcm, signal))
}

/** Calls `work` for all items, `atOnce` at a time. @returns the results in the order of the items. */
async function eachOf<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const lane = async () => {
    while (next < items.length) {
      const i = next++
      results[i] = await work(items[i] as T)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return results
}

function options(): { directory: string; json: boolean; peers: boolean } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean' }, peers: { type: 'boolean' } },
    })
    const [directory] = positionals
    if (directory === undefined || positionals.length > 1) stop(USAGE)
    const { json = false, peers = false } = values
    return { directory: resolve(directory), json, peers }
  } catch (error) {
    stop(`${sentence(error)}; ${USAGE}`)
  }
}

async function truthOf(directory: string): Promise<readonly Truth[]> {
  const path = join(directory, 'truth.tsv')
  const text = await readFile(path, 'utf8').catch((error) =>
    stop(`${path} can't be read: ${sentence(error)}`),
  )
  try {
    return readTruth(text)
  } catch (error) {
    if (error instanceof TruthError) stop(error.message)
    throw error
  }
}

function stop(line: string): never {
  console.error(line)
  process.exit(FAULT)
}
