import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Parser } from 'tap-parser'
import { sharedPostgres } from './support/shared-postgres.ts'
import { measuredSlowness } from './support/slowness.ts'

/**
 * Runs the suite. Prints a line per file, failures in full, skipped tests by name, and as the last line
 * `N passed, N failed`. Exit codes: 0 all passed; 1 anything failed or nothing ran.
 *
 * Each file is run by plain Node: importing tap makes it a program that prints TAP. Under tap's own runner every process
 * that a test starts gets tap's loaders. There are hundreds of processes, and each took twice as long to start.
 */
const named = process.argv.slice(2)
// The longest files come first: at the end they would run alone.
const LONGEST = [
  'seams/',
  'tools/terraform/terraform',
  'tools/drill/drill',
  'tools/local/',
  'tools/cli/demo',
  'tools/preflight/',
  'page/',
].map((name) => join('test', name))
const turn = (file: string) => {
  const found = LONGEST.findIndex((name) => file.startsWith(name))
  return found < 0 ? LONGEST.length : found
}
const files =
  named.length > 0
    ? named
    : globSync('test/**/*.test.ts').sort((a, b) => turn(a) - turn(b) || (a < b ? -1 : 1))
/** Concurrent files. More than there are cores, because most of them wait much of the time; with five on two cores they took each other's. */
const JOBS = 2 * availableParallelism()
const FILE_SECONDS = 600
const UNTRACKED = new URL('support/untracked.ts', import.meta.url).href
const OPTIONS = ['--disable-warning=ExperimentalWarning', `--import=${UNTRACKED}`]

const slowness = await measuredSlowness()
const load = (loadavg()[0] ?? 0).toFixed(1)
console.log(
  `load ${load}; limits of tests are ${slowness.toFixed(1)} times those of an idle machine`,
)
const fileSeconds = Math.ceil(FILE_SECONDS * slowness)
const inherited = Object.entries(process.env).filter(([name]) => !/^TAP/.test(name))
// A single file starts its own server.
const postgres = files.length > 1 ? await sharedPostgres() : undefined
const env = {
  // All files load the same libraries: Node's compiled code is cached.
  NODE_COMPILE_CACHE: join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled'),
  TEST_SLOWNESS: String(slowness),
  // Google's emulator lives for seconds: optimizing it would take longer than it does.
  JAVA_TOOL_OPTIONS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC',
  ...postgres?.env,
  ...Object.fromEntries(inherited),
  TAP_TIMEOUT: String(fileSeconds),
}
const waiting = [...files]
/** Process groups, by the id of their leader. */
const running = new Set<number>()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    waiting.length = 0
    for (const group of running) kill(group)
    void postgres?.stop().finally(() => process.exit(1))
    if (postgres === undefined) process.exit(1)
  })

const total = { passed: 0, failed: 0, skipped: [] as string[] }
await Promise.all(
  Array.from({ length: JOBS }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
      report(file, await ran(file))
  }),
)
await postgres?.stop()
if (total.passed + total.failed === 0) console.log('No test ran.')
if (total.skipped.length > 0) console.log(`skipped:\n  ${total.skipped.join('\n  ')}`)
const skipped = total.skipped.length > 0 ? `, ${total.skipped.length} skipped` : ''
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

interface Run {
  readonly seconds: number
  readonly lines: readonly string[]
  readonly passed: number
  readonly failed: number
  /** Names of skipped tests, each with its reason. */
  readonly skipped: readonly string[]
}

/** Runs one file until it ends or its time is up. Processes that it left behind are ended, too. */
async function ran(file: string): Promise<Run> {
  const began = performance.now()
  const child = spawn(process.execPath, [...OPTIONS, file], {
    ...{ env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  })
  const group = child.pid ?? 0
  running.add(group)
  const lines: string[] = []
  // tap itself ends a test that takes too long, unless its event loop is blocked.
  const late = setTimeout(() => {
    lines.push(`not ended after ${fileSeconds} s`)
    kill(group)
  }, 1100 * fileSeconds)
  const tally = { passed: 0, failed: 0, skipped: [] as string[] }
  const parser = counting(new Parser(), tally)
  const exited = once(child, 'exit')
  // A process that still holds its output would keep the loop below waiting.
  void exited.then(() => kill(group))
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    parser.write(`${line}\n`)
  }
  const [code] = await exited
  clearTimeout(late)
  running.delete(group)
  parser.end()
  if (code !== 0 || tally.passed + tally.skipped.length === 0)
    tally.failed = Math.max(1, tally.failed)
  return { ...tally, lines, seconds: (performance.now() - began) / 1000 }
}

/** Counts the assertions of a test and of its subtests, without the points that sum up a subtest. */
function counting(
  parser: Parser,
  tally: { passed: number; failed: number; skipped: string[] },
): Parser {
  parser.on('assert', ({ ok, name, skip, closingTestPoint }) => {
    if (closingTestPoint) return
    if (skip) tally.skipped.push(`${name} (${skip === true ? 'no reason given' : skip})`)
    else if (ok) tally.passed++
    else tally.failed++
  })
  parser.on('child', (inner) => counting(inner, tally))
  return parser
}

function report(file: string, run: Run): void {
  for (const line of run.lines) if (isRemark(line)) console.log(`       ${line.trim()}`)
  console.log(`${run.failed > 0 ? 'FAILED' : 'ok    '} ${file}  (${run.seconds.toFixed(1)} s)`)
  if (run.failed > 0) console.log(failures(run.lines).join('\n'))
  total.passed += run.passed
  total.failed += run.failed
  total.skipped.push(...run.skipped.map((what) => `${file}: ${what}`))
}

function kill(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // The group is empty.
  }
}

/** Whether a line is a comment of a test, e.g. on the servers that it tried. */
function isRemark(line: string): boolean {
  return /^\s*# (?!Subtest: |time=|\{ total|failed |skip)/.test(line)
}

/** The lines of the failed assertions with tap's diagnostics; the last lines of a file that crashed. */
function failures(lines: readonly string[]): string[] {
  const kept: string[] = []
  let depth = -1
  for (const line of lines) {
    const indent = line.search(/\S/)
    if (/^\s*not ok /.test(line)) depth = indent
    else if (indent <= depth && /^\s*(ok |# Subtest)/.test(line)) depth = -1
    if (depth >= 0) kept.push(line)
  }
  return kept.length > 0 ? kept : lines.slice(-50)
}
