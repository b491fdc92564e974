import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'

const CLI = join(import.meta.dirname, '..', '..', 'services', 'local', 'cli.ts')
const DERIVATIVES = join(import.meta.dirname, '..', 'support', 'derivatives')

t.setTimeout(600_000)

t.test(
  'killed and confused on a schedule, the chain loses nothing and makes nothing twice',
  async (t) => {
    const tracks = ['--tracks', '6', '--seconds', '8', '--target-ms', '200']
    // Light ones, some of which are cut into parts.
    const assets = ['--derivatives', DERIVATIVES, '--assets', 'echo,pieces,loudness,waveform']
    const kills = ['--kills', '10', '--every', '1', '--seed', '2']
    const { code, stdout, stderr } = await drill(...tracks, ...assets, ...kills, '--json')
    t.equal(code, 0, stderr)
    const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    t.match(report, {
      ...{ seed: 2, tracks: 6, published: 6, lost: 0, wrong: 0, findings: [] },
      duplicates: { rows: 0, assets: 0, published: 0 },
      ...{ swept: 0, dead_letters: 0, left_in_queue: 0 },
      done: { kill: 10 },
    })
    t.ok(report.kills_at_work >= 5, `${report.kills_at_work} kills met work`)
    t.ok(report.messages_copied > 0, 'messages were published again')
    t.ok(report.processes_killed >= 10)
    t.ok(
      report.process_starts >= 7 + report.processes_killed,
      'what was killed was started again',
    )
    t.ok(report.longest_stall_seconds > 0)
    t.comment(stdout.trimEnd())
  },
)

t.test('what cannot be asked for is said in a line, with exit code 2', async (t) => {
  const refused: [string[], RegExp][] = [
    [['--tracks', '0'], /^--tracks must be a whole number from 1 to 100000, got 0\.\n$/],
    [['--kills', '-1'], /--kills/],
    [['--seed', 'x'], /^--seed must be a whole number/],
    [['--every', '0'], /^--every must be a number of seconds above 0, got 0\.\n$/],
    [
      ['--kinds', 'kill,burn'],
      /^--kinds must be a list of kill, term, stop, copies, got burn\.\n$/,
    ],
    [['--assets', 'bpm,nothing'], /^--assets must be a list of .*key.*, got nothing\.\n$/],
    [['--target', 'example'], /^--target must be the URL of an API, got example\.\n$/],
    [['--audio', join(DERIVATIVES, 'none')], /^There is no file /],
  ]
  for (const [args, words] of refused) {
    const { code, stderr } = await drill(...args)
    t.equal(code, 2, args.join(' '))
    t.match(stderr, words)
  }
  t.match(await drill('--help'), { code: 0, stdout: /--kills K/ })
})

async function drill(...args: string[]) {
  const child = spawn(process.execPath, [CLI, 'drill', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = [child.stdout, child.stderr].map((s) =>
    s.setEncoding('utf8').toArray(),
  )
  const [code] = await once(child, 'close')
  return {
    code,
    stdout: (await stdout)?.join('') ?? '',
    stderr: (await stderr)?.join('') ?? '',
  }
}
