import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, connect } from '../../client/client.ts'
import { findMasters, type MasterFile } from '../../client/masters.ts'
import { followTrack, type TrackResult } from '../../client/track-result.ts'
import { type Chain, startChain } from '../../local/supervisor.ts'
import { clubTrack, writeFlac } from '../../local/synth.ts'
import { drawBars } from '../../terminal/bars.ts'
import { interruptible } from '../../terminal/interrupt.ts'
import { TERMINAL } from '../../terminal/output.ts'
import { parsed, pathFrom } from '../../terminal/usage.ts'
import { readablePath, report } from './demo-report.ts'
import { watchScratch } from './scratch-watch.ts'

const HELP = `npm run demo [-- FLAGS] [FILE…]: masters through the whole chain.

Starts the chain with a data folder of its own, uploads the masters, makes every available asset,
prints the results and leaves the assets in a folder. A folder stands for the audio files in it
(docs/reference/masters.md). Without files it synthesises a club track of known tempo and key.

  --out DIR   where the assets go (./demo-output/ and the time)
  --json      print the result as JSON; everything else goes to stderr
  --keep      keep the data folder (database, queue, log), and print its path
  --verbose   show the log
  --help      show this help

Exit codes: 0 every track is done; 1 a track failed; 2 usage; 130 interrupted.
`

const OPTIONS = {
  out: { type: 'string' },
  json: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Concurrent uploads. They mostly wait for the disk; two keep the chain fed. */
const UPLOADS = 2

/** @returns the exit code. */
export async function demo(args: readonly string[]): Promise<number> {
  const { values, positionals } = parsed(args, OPTIONS, true)
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const given = await findMasters(positionals.map(pathFrom))
  let chain: Chain | undefined
  const signal = interruptible(() => chain?.kill())
  const say = (text: string) => process.stderr.write(`${text}\n`)
  const data = await mkdtemp(join(tmpdir(), 'trackchain-demo-'))
  const out = pathFrom(values.out ?? join('demo-output', timeName(new Date())))
  let isGood = false
  try {
    await mkdir(out, { recursive: true })
    const masters = given.length > 0 ? given : [await synthesised(out, say, signal)]
    say('Starting the chain …')
    const started = performance.now()
    chain = await startChain({
      dataFolder: data,
      port: 0,
      pubsubPort: 0,
      signal,
      onNotice: say,
      ...(values.verbose ? { onLogLine: say } : {}),
    })
    say(
      `The chain is up after ${((performance.now() - started) / 1000).toFixed(1)} s: ${chain.url}`,
    )

    const scratch = watchScratch(chain.folder.scratch)
    const results = await through(chain, masters, signal)
    await collect(chain, results, out)
    const stdout = process.stdout
    stdout.write(report(results, { out, scratch: await scratch.end(), asJson: values.json }))
    isGood = results.every(({ state }) => state === 'done')
  } catch (error) {
    // An interrupted call may reject with another error: the signal has the reason.
    throw signal.aborted ? signal.reason : error
  } finally {
    say('Closing …')
    await chain?.close()
    const isWanted = values.keep || !(isGood || signal.aborted)
    if (isWanted) say(`Database, queue and log are in ${data}`)
    else await rm(data, { recursive: true, force: true })
  }
  return isGood ? 0 : 1
}

/** Uploads and submits all masters, and waits for the result of each. */
async function through(
  chain: Chain,
  masters: readonly MasterFile[],
  signal: AbortSignal,
): Promise<TrackResult[]> {
  const client = connect(chain.url, signal)
  const shown = progress(masters)
  const waiting = [...masters.entries()]
  const results: Promise<TrackResult>[] = []
  const upload = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, master] = next
      shown.set(master, 'upload')
      const requestId = await submitted(client, master)
      shown.set(master, 'accepted')
      const follow = followTrack(client, master, requestId, (state) => shown.set(master, state))
      follow.catch(() => {})
      results[index] = follow
    }
  }
  try {
    await Promise.all(Array.from({ length: UPLOADS }, upload))
    return await Promise.all(results)
  } finally {
    shown.end()
  }
}

/** Shows the state of the masters: in one line that is redrawn, or, without a terminal, in a line for each change. */
function progress(masters: readonly MasterFile[]) {
  const states = new Map<MasterFile, string>()
  const started = performance.now()
  const bars = drawBars(TERMINAL, () => {
    const counts = new Map<string, number>()
    for (const state of states.values()) counts.set(state, (counts.get(state) ?? 0) + 1)
    const parts = [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    return [
      `${masters.length} ${masters.length === 1 ? 'track' : 'tracks'}: ${parts}  ${seconds} s`,
    ]
  })
  return {
    set(master: MasterFile, state: string): void {
      if (states.get(master) === state) return
      states.set(master, state)
      if (TERMINAL.screen === undefined) TERMINAL.note(`${master.guid}: ${state}`)
    },
    end: () => bars.end(),
  }
}

async function submitted(client: Client, { path, guid }: MasterFile): Promise<string> {
  await client.upload(guid, path)
  return client.submit({ asset_guid: guid })
}

async function synthesised(
  out: string,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<MasterFile> {
  const track = clubTrack()
  const { bpm, key, camelot } = track
  const guid = 'club-track'
  const path = join(out, `${guid}.flac`)
  await writeFlac(track, path, signal)
  const seconds = (track.left.length / track.sampleRate).toFixed(1)
  say(
    `Made a club track: ${bpm.toFixed(2)} BPM, ${key}, ${seconds} s, 24-bit 48 kHz FLAC: ${path}`,
  )
  return { path, guid, expected: { bpm, key, camelot } }
}

/** Copies the assets of the tracks out of the store, under names that a person can read. */
async function collect(
  chain: Chain,
  results: readonly TrackResult[],
  out: string,
): Promise<void> {
  for (const { guid, files } of results) {
    for (const { name } of files) {
      await cp(join(chain.folder.assets, name), readablePath(out, guid, name))
    }
  }
}

function timeName(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '')
}
