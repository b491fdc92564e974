import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { measuredSlowness } from './support/slowness.ts'

/**
 * Runs the suite with tap and prints a line per file, whatever failed in full, what was skipped by name,
 * and as the last line `N passed, N failed`, from tap's own totals. Ends with 1 when anything failed or
 * nothing ran.
 */
const { TAP: _, ...env } = process.env
const told = process.argv.slice(2)
// The longest first, or they would be alone at the end.
const LONGEST = join('test', 'seams')
const files =
  told.length > 0
    ? told
    : globSync('test/**/*.test.ts').sort(
        (a, b) => Number(b.startsWith(LONGEST)) - Number(a.startsWith(LONGEST)),
      )
const slowness = await measuredSlowness()
const load = (loadavg()[0] ?? 0).toFixed(1)
console.log(
  `load ${load}; limits of tests are ${slowness.toFixed(1)} times those of an idle machine`,
)
const FILE_SECONDS = 600
const args = ['--reporter=tap', `--timeout=${Math.ceil(FILE_SECONDS * slowness)}`, ...files]
// Each file is a process of its own, and all load the same libraries: what Node compiled of them once is kept.
const cache = join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled')
const tap = spawn('tap', args, {
  env: { NODE_COMPILE_CACHE: cache, TEST_SLOWNESS: String(slowness), ...env },
  stdio: ['ignore', 'pipe', 'inherit'],
})
const exited = new Promise<number>((resolve) => {
  tap.on('error', (error) => {
    console.error(`tap does not start: ${error.message}`)
    resolve(1)
  })
  tap.on('close', (code) => resolve(code ?? 1))
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tap.kill(signal))

/** What one file has said so far: shown when it fails. */
let said: string[] = []
let totals: Record<string, number> | undefined
const skipped: string[] = []

for await (const line of createInterface({ input: tap.stdout })) {
  const total = /^# (\{ total: \d.*\})$/.exec(line)?.[1]
  const point = /^(not )?ok \d+ - (.*?)(?: # time=([\d.]+)ms)?( \{)?$/.exec(line)
  if (total) {
    totals = Object.fromEntries(
      [...total.matchAll(/(\w+): (\d+)/g)].map(([, name, count]) => [name, Number(count)]),
    )
  } else if (point && !line.startsWith(' ')) {
    const [, failed, file, ms = '0'] = point
    const took = `${(Number(ms) / 1000).toFixed(1)} s`
    console.log(`${failed ? 'FAILED' : 'ok    '} ${file}  (${took})`)
    if (failed) console.log(failures(said).join('\n'))
    skipped.push(...skips(said).map((what) => `${file}: ${what}`))
    said = []
  } else {
    if (isRemark(line)) console.log(`       ${line.trim()}`)
    said.push(line)
  }
}

const code = await exited
// What belongs to no file: what tap itself complains of.
if (code !== 0 && said.some((line) => line.trim() !== '')) console.log(said.join('\n'))
const { total = 0, pass = 0, skip = 0, todo = 0 } = totals ?? {}
const failed = total - pass - skip - todo
if (total === 0) console.log('No test ran.')
if (skipped.length > 0) console.log(`skipped:\n  ${skipped.join('\n  ')}`)
console.log(
  `${pass} passed, ${failed} failed${skip + todo > 0 ? `, ${skip + todo} skipped` : ''}`,
)
process.exitCode = code !== 0 || failed > 0 || total === 0 ? code || 1 : 0

/** What a test says on purpose, e.g. which wires it tried. */
function isRemark(line: string): boolean {
  return /^\s+# (?!Subtest: |time=|\{ total|failed |skip)/.test(line)
}

/** The names of the skipped tests, each with its reason. */
function skips(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const [, name, reason] = /^\s*ok \d+ - (.*?) # SKIP ?(.*)$/.exec(line) ?? []
    return name === undefined ? [] : [`${name} (${reason || 'no reason given'})`]
  })
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
