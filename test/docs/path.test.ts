import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { anyPort } from '../../tools/local/port.ts'
import { clubTrack } from '../../tools/local/synth.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { startService } from '../support/processes/service.ts'

/** The files that a newcomer opens to follow a track, in order, and those that stay closed: DESIGN.md, chapter 4. */
const { opened, closed, text } = pathInDesign()

t.test('the path of a track has as many files as DESIGN.md says, each once', async (t) => {
  t.ok(opened.length > 50, `${opened.length} files`)
  t.match(text, `**${opened.length} files**`, 'opened')
  t.match(text, `**${closed.length} files**`, 'left closed')
  const all = [...opened, ...closed]
  t.same(
    all.filter((file, index) => all.indexOf(file) !== index),
    [],
    'none stands twice',
  )
  for (const file of all) if (!existsSync(file)) t.fail(`${file} does not exist`)
})

t.test('each file of the path is imported by another one of it', async (t) => {
  const imported = new Set(opened.filter((file) => existsSync(file)).flatMap(importsOf))
  for (const file of opened) {
    // Processes, threads and assets are found by their path.
    if (/main\.ts$|worker\.ts$|built-in\//.test(file)) continue
    t.ok(imported.has(file), `${file} is imported by no file of the path`)
  }
})

// It starts the five services, so it is asked for: MEASURE=1 node test/docs/path.test.ts
if (process.env.MEASURE !== undefined) {
  t.test('every file whose code runs on the path is listed', async (t) => {
    const ran = await filesThatRun(t)
    t.same(
      [...ran].filter((file) => !opened.includes(file) && !closed.includes(file)).sort(),
      [],
      `${ran.size} files run`,
    )
    t.same(
      closed.filter((file) => !ran.has(file)),
      [],
      'no file is left closed that does not run',
    )
  })
}

function pathInDesign() {
  const design = readFileSync('DESIGN.md', 'utf8')
  const [text = ''] = /^## 4\.[\s\S]*?(?=^## 5\.)/m.exec(design) ?? []
  const [, rest = ''] = text.split('### The files')
  const [first = '', second = ''] = (rest.split('How this was counted')[0] ?? '').split(
    '### Left closed',
  )
  return { opened: filesIn(first), closed: filesIn(second), text }
}

/** The files in a text: `folder/a.ts`, or `b.ts` for one in the folder of the file before. */
function filesIn(text: string): readonly string[] {
  let folder = ''
  return [...text.matchAll(/`([\w./-]+\.ts)`/g)].map(([, path = '']) => {
    if (!path.includes('/')) return join(folder, path)
    folder = dirname(path)
    return path
  })
}

function importsOf(file: string): readonly string[] {
  const specifiers = readFileSync(file, 'utf8').matchAll(/\bfrom '((?:#shared|\.)[^']+)'/g)
  return [...specifiers].map(([, specifier = '']) =>
    specifier.startsWith('#') ? specifier.slice(1) : join(dirname(file), specifier),
  )
}

/** Sends one job through the services, and asks V8 in which files functions ran from the POST to `published`. */
async function filesThatRun(t: Test): Promise<Set<string>> {
  const { config, master, isIdle, close } = await surroundings({ derivatives: '' })
  t.teardown(close)
  const { left, right } = clubTrack({ sampleRate: 44_100, bars: 16 })
  await master('my-track', wav([left, right] as never))
  const port = await anyPort()
  const coverages: (() => Promise<Coverage>)[] = []
  for (const name of ['ingest', 'stage', 'analyze', 'encode', 'publish']) {
    const inspector = await anyPort()
    const own = name === 'ingest' ? { ...config, port } : config
    const { child, ready } = startService(`${name}/main.ts`, own, {
      NODE_OPTIONS: `--inspect=127.0.0.1:${inspector}`,
    })
    t.teardown(() => child.kill('SIGKILL'))
    await ready
    coverages.push(await coverageOf(t, inspector))
  }
  // What the start has left to do is no part of the path.
  await sleep(2000)
  for (const coverage of coverages) await coverage()
  await fetch(`http://127.0.0.1:${port}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ asset_guid: 'my-track', derivative_assets: ['bpm', 'aac-128'] }),
  })
  await until(isIdle, 60_000)
  const all = await Promise.all(coverages.map((coverage) => coverage()))
  const root = `${process.cwd()}/`
  return new Set(
    all.flat().flatMap(({ url, functions }) => {
      const file = url.split(root)[1]
      const hasRun = functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
      return file === undefined || file.startsWith('node_modules') || !hasRun ? [] : [file]
    }),
  )
}

type Coverage = readonly {
  readonly url: string
  readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[]
}[]

/** Begins to count in a process. The returned function returns what has run since it was called last. */
async function coverageOf(t: Test, port: number): Promise<() => Promise<Coverage>> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
    webSocketDebuggerUrl: string
  }[]
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '')
  t.teardown(() => socket.close())
  await new Promise((opened) => socket.addEventListener('open', opened, { once: true }))
  const waiting = new Map<number, (result: unknown) => void>()
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result: unknown }
    waiting.get(id)?.(result)
  })
  let last = 0
  const ask = (method: string, params = {}) =>
    new Promise<unknown>((answered) => {
      waiting.set(++last, answered)
      socket.send(JSON.stringify({ id: last, method, params }))
    })
  await ask('Profiler.enable')
  await ask('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  return async () =>
    ((await ask('Profiler.takePreciseCoverage')) as { result: Coverage }).result
}
