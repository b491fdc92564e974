import { type ChildProcess, fork } from 'node:child_process'
import t from 'tap'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { patient } from '../support/patience.ts'
import { club } from '../support/synth.ts'

t.setTimeout(patient(400_000))

const derivatives = new URL('../support/derivatives-hostile', import.meta.url).pathname
const around = await surroundings({ derivatives })
const { env, letters, published } = around
const script = new URL('../support/processes/watched-child.ts', import.meta.url)

/** How each process of the consumers has ended. */
const ends: (number | NodeJS.Signals | null)[] = []
let said = ''
let isOver = false
let child: ChildProcess
function start(): void {
  child = fork(script, {
    env: { ...process.env, ...env, STANDSTILL_MS: '1500' },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    execArgv: ['--max-old-space-size=250'],
  })
  child.stdout?.on('data', (chunk) => {
    said += chunk
    if (process.env.SHOW) process.stderr.write(chunk)
  })
  child.once('exit', (code, signal) => {
    ends.push(code ?? signal)
    if (!isOver) start()
  })
}
start()
t.teardown(async () => {
  isOver = true
  child.kill('SIGKILL')
  await around.close()
})

/** The expected error of each hostile asset. */
const FAULTS: Readonly<Record<string, readonly [code: string, sentence: RegExp]>> = {
  spin: ['OVER_BUDGET', /spin@1 let the event loop stand still/],
  eats: ['OVER_BUDGET', /eats@1 used up the memory/],
  late: ['RENDER_FAILED', /late@1: this plug-in throws late/],
  forgets: ['RENDER_FAILED', /this plug-in has forgotten something/],
  mumbles: ['RENDER_FAILED', /a result that cannot be read/],
  deep: ['RENDER_FAILED', /a result of more than 32 levels/],
  emits: ['RENDER_FAILED', /this plug-in emits an error/],
  exits: ['RENDER_FAILED', /process\.exit was called/],
  'throws-nothing': ['RENDER_FAILED', /says nothing of itself/],
  'begins-anew': ['RENDER_FAILED', /this plug-in says so/],
  aborts: ['RENDER_FAILED', /process\.abort was called/],
  'shoots-itself': ['RENDER_FAILED', /process\.kill was called for the process itself/],
  traps: ['RENDER_FAILED', /says nothing of itself/],
  'has-traps': ['RENDER_FAILED', /this plug-in is not to be looked at/],
  circles: ['RENDER_FAILED', /goes round/],
  overflows: ['RENDER_FAILED', /more than 10 bytes|a file of more than/],
  words: ['RENDER_FAILED', /a piece that is no bytes/],
}
const SOUND = ['echo', 'plain', 'too-late']

t.test('whatever a plug-in does, the verdict is on it alone', async (t) => {
  await around.master('hostile', wav(club(44_100)))
  const neighbours = ['neighbour-1', 'neighbour-2', 'neighbour-3']
  for (const track of neighbours) await around.master(track, wav(club(44_100)))
  await around.submit({
    asset_guid: 'hostile',
    derivative_assets: [...Object.keys(FAULTS), ...SOUND],
  })
  for (const track of neighbours)
    await around.submit({ asset_guid: track, derivative_assets: ['echo', 'plain'] })
  await until(
    () => published.has('hostile') && neighbours.every((track) => published.has(track)),
    120_000,
  )

  const [message] = published.get('hostile') ?? []
  t.equal(message?.state, 'partial')
  const by = new Map(message?.assets.map((asset) => [asset.asset, asset]))
  for (const [asset, [code, sentence]] of Object.entries(FAULTS))
    t.match(by.get(asset), { state: 'failed', code, sentence }, asset)
  for (const asset of SOUND) t.match(by.get(asset), { state: 'made' }, asset)
  for (const track of neighbours) t.match(published.get(track), [{ state: 'done' }])
  const asked = () => letters.flatMap(({ body }) => JSON.parse(body).derivative_assets)
  await until(() => asked().length >= Object.keys(FAULTS).length)
  t.same(
    asked().toSorted(),
    Object.keys(FAULTS).toSorted(),
    'the dead letters ask for what failed, each once, and for nothing else',
  )
})

t.test('only what held the event loop or ate up the memory has cost a process', (t) => {
  const lines = said.split('\n')
  const ended = lines.filter((line) => line.includes('stood still'))
  const full = lines.filter((line) => line.includes('the memory is nearly used up'))
  t.ok(full.length >= 2, 'whose code it was the first time is a guess')
  t.match(full.at(-1), /"work":"eats@1 0-44100"/, 'the last time it was alone')
  t.equal(ended.length, 1, `what is found in its code at each look costs one: ${ends}`)
  t.equal(ends.length, ended.length + full.length)
  for (const line of ended) t.match(line, /"work":"spin@1 0-44100"/)
  t.match(said, /"work":"spin@1 0-44100".*stood still for 1.5 s, in .*spin\.ts/)
  t.end()
})

t.test(
  'what throws when its file is there already is in the log, and nothing else',
  async (t) => {
    await around.master('alone', wav(club(44_100)))
    const before = ends.length
    await around.submit({ asset_guid: 'alone', derivative_assets: ['too-late'] })
    await until(() => published.has('alone') && /this plug-in throws too late/.test(said))
    t.match(published.get('alone'), [{ state: 'done' }])
    t.equal(ends.length, before)
  },
)
