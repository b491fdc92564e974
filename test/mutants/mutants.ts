import { spawnSync } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { allMutants } from './all-mutants.ts'
import { type Mutant, mutated } from './mutant.ts'
import { runTest, type TestRun } from './run-test.ts'

/**
 * Puts each mutant of `list/` into a copy of the tree and runs the tests that must fail because of it. Exit codes: 0; 1
 * when fewer than 90 % are noticed, when one no longer fits the source, or when the tests fail without any.
 */
const MIN_SHARE = 0.9
/** Time limit of a test with a mutant, which may make it hang: a multiple of its time without, plus some seconds. */
const PATIENCE = { times: 4, seconds: 20 }
const UNMUTATED_SECONDS = 600
const ROOT = join(import.meta.dirname, '..', '..')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: 'string' } },
})
const jobs = Number(values.jobs ?? Math.min(4, availableParallelism()))

interface Result {
  readonly mutant: Mutant
  readonly state: 'killed' | 'survived' | 'invalid'
  readonly by: string
}

const chosen = (await allMutants()).filter((mutant) =>
  positionals.every((word) => `${mutant.file} ${mutant.breaks}`.includes(word)),
)
const work = await mkdtemp(join(tmpdir(), 'mutants-'))
// PostgreSQL runs as another user, and has to pass through this folder.
await chmod(work, 0o755)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end(130))
try {
  const trees = await Promise.all(Array.from({ length: jobs }, (_, n) => copyOfTree(n)))
  const seconds = await unmutated(trees)
  const results = seconds === undefined ? [] : await tryAll(trees, seconds)
  if (seconds === undefined) process.exitCode = 1
  else process.exitCode = reported(results)
} finally {
  await rm(work, { recursive: true, force: true })
}

async function end(code: number): Promise<never> {
  await rm(work, { recursive: true, force: true })
  process.exit(code)
}

/** A copy of the tree that shares only the installed packages with the checkout. */
async function copyOfTree(number: number): Promise<string> {
  const tree = join(work, `${number}`)
  await cp(ROOT, tree, {
    recursive: true,
    filter: (path) => path === ROOT || !isLeftOut(basename(path)),
  })
  await symlink(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  await mkdir(temporaryOf(tree))
  return tree
}

function isLeftOut(name: string): boolean {
  return ['node_modules', '.git', '.tap', 'trackchain-data', 'demo-output'].includes(name)
}

function temporaryOf(tree: string): string {
  return `${tree}-t`
}

/** The time that each test file takes, s; undefined when one fails without a mutant. */
async function unmutated(
  trees: readonly string[],
): Promise<ReadonlyMap<string, number> | undefined> {
  const files = [...new Set(chosen.flatMap(({ tests }) => tests))]
  const seconds = new Map<string, number>()
  let isWell = true
  await shared(trees, files, async (tree, file) => {
    const run = await tried(tree, file, UNMUTATED_SECONDS)
    seconds.set(file, run.seconds)
    if (run.outcome === 'passed') return
    isWell = false
    console.log(`${file} ${run.outcome}, without any mutant:\n${run.said}`)
  })
  return isWell ? seconds : undefined
}

async function tryAll(
  trees: readonly string[],
  seconds: ReadonlyMap<string, number>,
): Promise<Result[]> {
  const results: Result[] = []
  await shared(trees, chosen, async (tree, mutant) => {
    const result = await tryOne(tree, mutant, seconds)
    results.push(result)
    const { state, by } = result
    console.log(`${state.padEnd(8)}  ${mutant.file}: ${mutant.breaks}  (${by})`)
  })
  return results
}

async function tryOne(
  tree: string,
  mutant: Mutant,
  seconds: ReadonlyMap<string, number>,
): Promise<Result> {
  const path = join(tree, mutant.file)
  const source = await readFile(path, 'utf8')
  try {
    const changed = mutated(source, mutant)
    if (path.endsWith('.ts')) stripTypeScriptTypes(changed)
    await writeFile(path, changed)
  } catch (error) {
    return { mutant, state: 'invalid', by: (error as Error).message }
  }
  try {
    for (const file of mutant.tests) {
      const limit = PATIENCE.seconds + PATIENCE.times * (seconds.get(file) ?? 0)
      const run = await tried(tree, file, limit)
      const by = `${file}, ${run.outcome} after ${run.seconds.toFixed(1)} s`
      if (run.outcome !== 'passed') return { mutant, state: 'killed', by }
    }
    return { mutant, state: 'survived', by: mutant.unnoticed ?? 'no test has noticed' }
  } finally {
    await writeFile(path, source)
  }
}

async function tried(tree: string, file: string, limitSeconds: number): Promise<TestRun> {
  const temporary = temporaryOf(tree)
  const run = await runTest(tree, file, { limitSeconds, temporary })
  await tidiedUp(temporary)
  await mkdir(temporary)
  return run
}

/** Removes what a test left behind that was killed, mounted disks included. */
async function tidiedUp(folder: string): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '')
  for (const line of mounts.split('\n')) {
    const at = line.split(' ')[1]
    if (at?.startsWith(`${folder}/`)) spawnSync('umount', [at], { stdio: 'ignore' })
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

/** Processes all items concurrently, each tree being used by one at a time. */
async function shared<T>(
  trees: readonly string[],
  items: readonly T[],
  act: (tree: string, item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items]
  await Promise.all(
    trees.map(async (tree) => {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift())
        await act(tree, item)
    }),
  )
}

/** Prints the table. @returns the exit code */
function reported(results: readonly Result[]): number {
  const files = [...new Set(results.map(({ mutant }) => mutant.file))].sort()
  const count = (state: Result['state'], file?: string) =>
    results.filter(
      (each) => each.state === state && (file ?? each.mutant.file) === each.mutant.file,
    ).length
  const row = (name: string, file?: string) => {
    const [killed, survived, invalid] = (['killed', 'survived', 'invalid'] as const).map(
      (state) => String(count(state, file)).padStart(9),
    )
    console.log(`${name.padEnd(44)}${killed}${survived}${invalid}`)
  }
  console.log(`\n${''.padEnd(44)}   killed survived  invalid`)
  for (const file of files) row(file, file)
  row('all')
  for (const { mutant, state, by } of results)
    if (state !== 'killed') console.log(`${state}: ${mutant.file}: ${mutant.breaks}: ${by}`)
  const share = results.length === 0 ? 0 : count('killed') / results.length
  console.log(`${count('killed')} of ${results.length} killed: ${(100 * share).toFixed(1)} %`)
  return share < MIN_SHARE || count('invalid') > 0 ? 1 : 0
}
