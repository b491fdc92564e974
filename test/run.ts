import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Parser } from 'tap-parser'
import { sharedPostgres } from '../tools/local/postgres/temporary.ts'
import { measuredSlowness } from './support/slowness.ts'

/**
 * Runs the suite and prints a line per file, whatever failed in full, what was skipped by name, and as the last line
 * `N passed, N failed`. Ends with 1 when anything failed or nothing ran.
 *
 * Each file is a program that tap makes of it, run by plain Node. Under tap's own runner every process that a test
 * starts gets tap's loaders, and there are hundreds: each took twice as long to begin.
 */
const told = process.argv.slice(2)
// The longest first, or they would be alone at the end.
const LONGEST = [
  'seams/',
  'tools/terraform/terraform',
  'tools/drill/drill',
  'tools/local/',
].map((name) => join('test', name))
const turn = (file: string) => {
  const found = LONGEST.findIndex((name) => file.startsWith(name))
  return found < 0 ? LONGEST.length : found
}
const files =
  told.length > 0
    ? told
    : globSync('test/**/*.test.ts').sort((a, b) => turn(a) - turn(b) || (a < b ? -1 : 1))
/** More than there are cores: most of them wait much of the time. */
const JOBS = 2 * availableParallelism()
const FILE_SECONDS = 600

const slowness = await measuredSlowness()
const load = (loadavg()[0] ?? 0).toFixed(1)
console.log(
  `load ${load}; limits of tests are ${slowness.toFixed(1)} times those of an idle machine`,
)
const fileSeconds = Math.ceil(FILE_SECONDS * slowness)
const inherited = Object.entries(process.env).filter(([name]) => !/^TAP/.test(name))
// One file alone starts what it needs.
const postgres = files.length > 1 ? await sharedPostgres() : undefined
const env = {
  // All files load the same libraries: what Node compiled of them once is kept.
  NODE_COMPILE_CACHE: join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled'),
  TEST_SLOWNESS: String(slowness),
  ...postgres?.env,
  ...Object.fromEntries(inherited),
  TAP_TIMEOUT: String(fileSeconds),
}
const waiting = [...files]
/** Groups of processes, by the id of the one that leads it. */
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

/** Runs one file until it ends, or its time is up. What it has started and left behind is ended with it. */
async function ran(file: string): Promise<Run> {
  const began = performance.now()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    ...{ env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  })
  const group = child.pid ?? 0
  running.add(group)
  const lines: string[] = []
  // tap ends what takes too long by itself, unless its loop stands still.
  const late = setTimeout(() => {
    lines.push(`not ended after ${fileSeconds} s`)
    kill(group)
  }, 1100 * fileSeconds)
  const tally = { passed: 0, failed: 0, skipped: [] as string[] }
  const parser = counting(new Parser(), tally)
  const exited = once(child, 'exit')
  // Whoever still holds its output would keep us waiting.
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

/** Counts the points of a test and of those within it; one that only sums up another test is none. */
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
    // Nobody is left in it.
  }
}

/** What a test says on purpose, e.g. which wires it tried. */
function isRemark(line: string): boolean {
  return /^\s*# (?!Subtest: |time=|\{ total|failed |skip)/.test(line)
}

/** The lines of the failed points and what tap adds to each; all that is left of a file that crashed. */
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
