import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { sourceOf } from '#shared/audio/ranged.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { LOW_RATE } from '../../../services/analyze/signal/listener.ts'
import { analyzeTools } from '../../../services/analyze/tools.ts'
import type { Operations } from '../../../services/analyze/worker.ts'
import { WorkerPool } from '../../../services/analyze/worker-pool.ts'
import { inMemory, int16 } from '../../support/audio.ts'
import { patient } from '../../support/patience.ts'
import { band, cadence, gained, mixed } from '../../support/synth.ts'

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
  const pcm = sourceOf(60 * SAMPLE_RATE, async (start, end) => {
    // While it reads on, a worker listens to what came first.
    if (start > 0) controller.abort(new Error('shutting down'))
    return new Int16Array(2 * (end - start))
  })
  const tools = analyzeTools({ pcm, signal: controller.signal, pool })
  await t.rejects(tools.tempo(), { message: 'shutting down' })
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
  const entry = new URL('./collecting-worker.ts', import.meta.url)
  const pool = new WorkerPool({ threads: 1, entry })
  t.teardown(() => pool.close())
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const n = 12 * SAMPLE_RATE
  const sound = mixed(gained(0.5, band(n, 125)), cadence(n, 5, 'major'))
  const pcm = inMemory(int16([sound, sound]))
  /** What this process holds after that many more tracks, MiB. */
  const heldAfter = async (tracks: number) => {
    for (let run = 0; run < tracks; run++) {
      const tools = analyzeTools({ pcm, signal: never, pool })
      await Promise.all([tools.tempo(), tools.key()])
    }
    let least = Number.POSITIVE_INFINITY
    for (let look = 0; look < 3; look++) {
      // The second answer comes behind the worker's collection.
      for (let answer = 0; answer < 2; answer++)
        await pool.use(never, (ask) => ask('listen', 1))
      collect()
      least = Math.min(least, process.memoryUsage.rss())
    }
    return least / 2 ** 20
  }
  const grown = -(await heldAfter(3)) + (await heldAfter(8))
  // Leaking but the window of each track would make 8 × 2 MB.
  t.ok(grown < 8, `grew by ${grown.toFixed(1)} MiB over the last eight tracks`)
})
