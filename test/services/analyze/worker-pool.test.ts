import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { LOW_RATE } from '../../../services/analyze/signal/listener.ts'
import { analyzeTools } from '../../../services/analyze/tools.ts'
import type { Operations } from '../../../services/analyze/worker.ts'
import { WorkerPool } from '../../../services/analyze/worker-pool.ts'
import { patient } from '../../support/patience.ts'
import { band, cadence, track } from './synth.ts'

const never = new AbortController().signal

/** Forty minutes of silence for the key estimator: a second of computing that nothing interrupts. */
function longWork(): Operations['key']['input'] {
  const low = new Float32Array(2400 * LOW_RATE)
  return { spans: [{ start: 0, end: 2400 * SAMPLE_RATE }], low }
}

t.test(
  'an abort ends a busy worker within a second, and the next task gets a new one',
  async (t) => {
    const pool = new WorkerPool({ threads: 1 })
    t.teardown(() => pool.close())
    await pool.use(never, (ask) => ask('listen', 1))
    const work = longWork()
    const controller = new AbortController()
    const reason = new Error('past the budget')
    const busy = pool.use(controller.signal, (ask) =>
      ask('key', work, [work.low.buffer as ArrayBuffer]),
    )
    // Usually it is computing by then; if not, the abort comes first, which has to end it, too.
    await sleep(200)
    const abortedAt = performance.now()
    controller.abort(reason)
    await t.rejects(busy, reason)
    t.ok(performance.now() - abortedAt < patient(1000))
    t.same(await pool.use(never, (ask) => ask('listen', 9)), [{ start: 0, end: 9 }])
    t.ok(performance.now() - abortedAt < patient(10_000), 'so the one thread was free')
  },
)

t.test('an abort while waiting for a worker leaves the line', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.teardown(() => pool.close())
  const { promise: hold, resolve: letGo } = Promise.withResolvers<void>()
  const first = pool.use(never, () => hold)
  const controller = new AbortController()
  const second = pool.use(controller.signal, async () => 'never')
  const third = pool.use(never, async () => 'third')
  controller.abort()
  await t.rejects(second, { name: 'AbortError' })
  letGo()
  await first
  t.equal(await third, 'third')
  await t.rejects(
    pool.use(AbortSignal.abort(), async () => 'never'),
    { name: 'AbortError' },
  )
})

t.test('an analysis that is aborted rejects with the reason', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.teardown(() => pool.close())
  const controller = new AbortController()
  const tools = analyzeTools({ pcm: track(60, band(120)), signal: controller.signal, pool })
  const tempo = tools.tempo()
  await sleep(100)
  controller.abort(new Error('shutting down'))
  await t.rejects(tempo, { message: 'shutting down' })
})

t.test(
  'a worker that dies fails its task with an ordinary error, and is replaced',
  async (t) => {
    const entry = new URL('./mortal-worker.ts', import.meta.url)
    const pool = new WorkerPool({ threads: 1, entry })
    t.teardown(() => pool.close())
    for (const fate of [1, 2]) {
      const fatal = pool.use(never, (ask) => ask('listen', fate))
      await t.rejects(fatal, { name: 'Error', message: 'analysis worker died' })
      t.same(await pool.use(never, (ask) => ask('listen', 0)), [], 'the next is served')
    }
  },
)

t.test('an error within a worker is the error of its task', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.teardown(() => pool.close())
  await t.rejects(
    pool.use(never, (ask) => ask('heard', undefined)),
    { message: 'no track was begun' },
  )
  t.same(await pool.use(never, (ask) => ask('listen', 5)), [{ start: 0, end: 5 }])
})

t.test('a closed pool takes no work, and ends what runs or waits', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  const running = pool.use(never, () => new Promise(() => undefined))
  const waiting = pool.use(never, async () => 'never')
  const both = Promise.allSettled([running, waiting])
  await sleep(50)
  await pool.close()
  for (const { status } of await both) t.equal(status, 'rejected')
  await t.rejects(
    pool.use(never, async () => 'never'),
    { message: /closed/ },
  )
})

t.test('idle workers do not keep the process alive', async (t) => {
  const program = `
    import { WorkerPool } from '${new URL('../../../services/analyze/worker-pool.ts', import.meta.url)}'
    const pool = new WorkerPool({ threads: 2 })
    const spans = await pool.use(new AbortController().signal, (ask) => ask('listen', 7))
    process.stdout.write(JSON.stringify(spans))`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { timeout: patient(20_000) },
  )
  t.same(JSON.parse(stdout), [{ start: 0, end: 7 }])
})

t.test('memory stays flat over many tracks', async (t) => {
  const pool = new WorkerPool({ threads: 1 })
  t.teardown(() => pool.close())
  const [beat, tune] = [band(125), cadence(5, 'major')]
  const sound = Float32Array.from({ length: 12 * SAMPLE_RATE }, (_, i) => beat(i) / 2 + tune(i))
  // The minimum of many readings, because a single one depends on when the garbage collector last ran.
  const leastOver = async (tracks: number) => {
    let least = Infinity
    for (let run = 0; run < tracks; run++) {
      const pcm = track(12, (i) => sound[i] as number)
      const tools = analyzeTools({ pcm, signal: never, pool })
      await Promise.all([tools.tempo(), tools.key()])
      least = Math.min(least, process.memoryUsage.rss())
    }
    return least / 2 ** 20
  }
  await leastOver(10)
  const grown = -(await leastOver(25)) + (await leastOver(25))
  // Leaking but the window of each track would make at least 25 × 2 MB.
  t.ok(grown < 30, `grew by ${grown.toFixed(0)} MB over the last twenty-five tracks`)
})
