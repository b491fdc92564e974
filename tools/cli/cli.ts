import { spawnSync } from 'node:child_process'
import { ConfigError } from '#shared/contracts/errors/config.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { FolderInUseError } from '../local/data-folder.ts'
import { Interrupted } from '../terminal/interrupt.ts'
import { flushed } from '../terminal/output.ts'
import { UsageError } from '../terminal/usage.ts'

type Command = (args: readonly string[]) => Promise<number>

/** Each command is loaded on demand: the chain's own libraries take a second to load. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./commands/start.ts')).start,
  demo: async () => (await import('./commands/demo.ts')).demo,
  drill: async () => (await import('./commands/drill.ts')).drill,
  submit: async () => (await import('./commands/submit/submit.ts')).submit,
  watch: async () => (await import('./commands/watch/watch.ts')).watch,
  status: async () => (await import('./commands/status/status.ts')).status,
  cancel: async () => (await import('./commands/cancel.ts')).cancel,
  tracks: async () => (await import('./commands/tracks.ts')).tracks,
  release: async () => (await import('./commands/releases/release.ts')).release,
  releases: async () => (await import('./commands/releases/releases.ts')).releases,
  campaign: async () => (await import('./commands/campaign/campaign.ts')).campaign,
  'dead-letters': async () =>
    (await import('./commands/dead-letters/dead-letters.ts')).deadLetters,
  redrive: async () => (await import('./commands/dead-letters/dead-letters.ts')).redriveAlone,
  preflight: async () => (await import('./commands/preflight.ts')).preflight,
  costs: async () => (await import('./commands/costs/costs.ts')).costs,
}
/** Commands that make assets on this machine, and so need ffmpeg. */
const WITH_FFMPEG = ['start', 'demo', 'drill']
const USAGE = `Trackchain turns masters into BPM, key, loudness, AAC, waveform and more.

On this machine:
  npx trackchain start            the chain as a server on loopback (npm start)
  npx trackchain demo [FILE…]     masters through the chain and into a folder (npm run demo)
  npx trackchain drill            tracks through the chain while its processes are killed

With a chain, here or elsewhere:
  npx trackchain submit FILE…     uploads masters and has their assets made; also folders and manifests
  npx trackchain watch ID…        follows jobs until they have ended; --all: every track
  npx trackchain status ID        the state of a request or a track; what failed, and why
  npx trackchain release ID       what has become of the tracks of a release
  npx trackchain releases         the releases, those that changed last first
  npx trackchain cancel ID        stops the jobs of a request, of one track of it, or of a release
  npx trackchain tracks           searches by BPM, key, length, state, name
  npx trackchain campaign         long lists of tracks: create, list, show, start, watch, pause, resume, cancel
  npx trackchain dead-letters     jobs that failed for good: list, show, redrive, discard
  npx trackchain redrive ID…      the same as dead-letters redrive

About a deployment:
  npx trackchain preflight        checks it
  npx trackchain costs            what tracks would cost in the cloud, and what has been spent

Each command takes --help. To begin, in two terminals:
  npx trackchain start
  npx trackchain submit my-track.wav --watch

Exit codes: 0 success, 1 failure, 2 usage or configuration, 130 interrupted. More: docs/start/cli.md.
`

const code = await main(process.argv.slice(2))
await flushed()
process.exit(code)

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    const isHelp = ['', '--help', '-h', 'help'].includes(name)
    if (isHelp) process.stdout.write(USAGE)
    else process.stderr.write(`There is no command ${name}.\n\n${USAGE}`)
    return isHelp ? 0 : 2
  }
  try {
    if (WITH_FFMPEG.includes(name)) checkTools()
    return await (await command())(args)
  } catch (error) {
    if (error instanceof Interrupted) return 130
    if (isForPeople(error)) {
      process.stderr.write(`${error.message}\n`)
      return 2
    }
    process.stderr.write(`error: ${sentence(error)}\n`)
    return 1
  }
}

/** Whether the message of an error is all that its reader needs: what was wrong and what was expected. */
function isForPeople(error: unknown): error is Error {
  const kinds = [UsageError, ConfigError, FolderInUseError]
  return kinds.some((kind) => error instanceof kind)
}

/** @throws UsageError that says what to install. */
function checkTools(): void {
  const { error } = spawnSync('ffmpeg', ['-version'], { stdio: 'ignore' })
  if (!error) return
  throw new UsageError(
    'ffmpeg is not on the PATH. Install it (Debian: apt-get install ffmpeg; macOS: brew install ffmpeg).',
  )
}
