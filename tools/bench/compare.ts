// Runs benchmarks at another revision and at this one, in turn, and prints the figures of both with their ratios:
//   npm run bench:compare -- REV [--bench chain,wire,post,track] [--rounds 3]
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { compared } from './figures.ts'

const BENCHES: Readonly<Record<string, readonly string[]>> = {
  chain: ['chain.bench.ts', '--jobs', '5000', '--seconds', '5'],
  wire: ['wire.bench.ts', '20000'],
  post: ['post.bench.ts', '10000'],
  track: ['bench.ts', '--mix-hours', '0', '--queue', '0', '--rounds', '1'],
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bench: { type: 'string', default: Object.keys(BENCHES).join(',') },
    rounds: { type: 'string', default: '3' },
  },
})
const [revision] = positionals
const rounds = Number(values.rounds)
const names = values.bench.split(',')
const unknown = names.find((name) => !Object.hasOwn(BENCHES, name))
if (revision === undefined || positionals.length > 1) usage('expected one revision')
if (unknown !== undefined)
  usage(`there is no benchmark ${unknown}; there are ${Object.keys(BENCHES).join(', ')}`)
if (!Number.isInteger(rounds) || rounds < 1) usage('--rounds: expected a whole number from 1')

const run = promisify(execFile)
const HERE = join(import.meta.dirname, '..', '..')
const git = async (...args: string[]) => (await run('git', ['-C', HERE, ...args])).stdout.trim()
const commit = await git(
  'rev-parse',
  '--verify',
  '--end-of-options',
  `${revision}^{commit}`,
).catch(() => usage(`there is no revision ${revision}`))
const folder = await mkdtemp(join(tmpdir(), 'trackchain-compare-'))
const there = join(folder, 'tree')
try {
  await git('worktree', 'add', '--quiet', '--detach', there, commit)
  await packages()
  const changed =
    (await git('status', '--porcelain')) === '' ? '' : ', and what is not committed'
  console.log(
    `before: ${commit.slice(0, 12)}; after: ${(await git('rev-parse', 'HEAD')).slice(0, 12)}${changed}; medians of ${rounds}`,
  )
  for (const name of names) {
    const [before, after]: [string[], string[]] = [[], []]
    for (let round = 0; round < rounds; round++) {
      before.push(await bench(there, name))
      after.push(await bench(HERE, name))
    }
    console.log(
      `\n${name}\n\n| figure | before | after | ratio |\n| --- | ---: | ---: | ---: |`,
    )
    for (const { what, ...of } of compared(before, after))
      console.log(`| ${what} | ${of.before} | ${of.after} | ${of.ratio.toFixed(2)} |`)
  }
} finally {
  await git('worktree', 'remove', '--force', there).catch(() => {})
  await rm(folder, { recursive: true, force: true })
}

/** Gives the other revision its packages: ours, if it has the same lockfile. */
async function packages(): Promise<void> {
  const [theirs, ours] = await Promise.all(
    [there, HERE].map((tree) => readFile(join(tree, 'package-lock.json'), 'utf8')),
  )
  if (locked(theirs) === locked(ours))
    await symlink(join(HERE, 'node_modules'), join(there, 'node_modules'))
  else await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: there })
}

/** What a lockfile locks: all but the name and version of the project itself. */
function locked(text: string = ''): string {
  return JSON.stringify({ ...JSON.parse(text).packages, '': undefined })
}

/** What a benchmark prints at a tree. It runs with that tree's own files, wherever they were. */
async function bench(tree: string, name: string): Promise<string> {
  const [file = '', ...args] = BENCHES[name] ?? []
  const found = await run('git', ['-C', tree, 'ls-files', `*/bench/${file}`])
  const [path] = found.stdout.trim().split('\n')
  if (!path) usage(`${revision} has no benchmark ${name}`)
  const flags = ['--disable-warning=ExperimentalWarning', path, ...args]
  const { stdout } = await run(process.execPath, flags, { cwd: tree, maxBuffer: 1 << 24 })
  return stdout
}

function usage(words: string): never {
  console.error(
    `error: ${words}\nusage: npm run bench:compare -- REV [--bench ${Object.keys(BENCHES)}] [--rounds 3]`,
  )
  process.exit(2)
}
