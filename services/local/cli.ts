import { spawnSync } from 'node:child_process'
import { sentence } from '#shared/errors.ts'
import { costs } from './costs.ts'
import { FolderInUseError } from './data-folder.ts'
import { deadLetters } from './dead-letters.ts'
import { demo } from './demo.ts'
import { drill } from './drill.ts'
import { Interrupted } from './interrupt.ts'
import { preflight } from './preflight.ts'
import { start } from './start.ts'
import { UsageError } from './usage.ts'

const COMMANDS = {
  ...{ start, demo, drill, preflight, costs },
  'dead-letters': deadLetters,
} as const
/** These make nothing. */
const WITHOUT_FFMPEG = ['dead-letters', 'preflight', 'costs']
const USAGE = `Trackchain.

  npx trackchain start          the chain as a server on loopback (npm start)
  npx trackchain demo [FILE…]   masters through the chain and into a folder (npm run demo)
  npx trackchain drill          tracks through the chain while its processes are killed (npm run drill)
  npx trackchain dead-letters   what could not be done: list, show, redrive, discard
  npx trackchain preflight      whether a deployment is as it should be
  npx trackchain costs          what so many tracks cost in the cloud

Each takes --help.
`

// A terminal that has gone (| head) is no reason to end.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})
process.exit(await main(process.argv.slice(2)))

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name as keyof typeof COMMANDS] : null
  if (command === null) {
    const isHelp = ['', '--help', '-h', 'help'].includes(name)
    process.stderr.write(isHelp ? USAGE : `There is no command ${name}.\n\n${USAGE}`)
    return isHelp ? 0 : 2
  }
  try {
    if (!WITHOUT_FFMPEG.includes(name)) checkTools()
    return await command(args)
  } catch (error) {
    if (error instanceof Interrupted) return 130
    if (error instanceof UsageError || error instanceof FolderInUseError) {
      process.stderr.write(`${error.message}\n`)
      return 2
    }
    process.stderr.write(`It did not work: ${sentence(error)}\n`)
    return 1
  }
}

/** @throws UsageError that says what to install. */
function checkTools(): void {
  const { error } = spawnSync('ffmpeg', ['-version'], { stdio: 'ignore' })
  if (!error) return
  throw new UsageError(
    'ffmpeg is not on the PATH. Install it (Debian: apt-get install ffmpeg; macOS: brew install ffmpeg).',
  )
}
