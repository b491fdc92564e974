import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Type } from 'typebox'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { defineMessage } from '#shared/contracts/message.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { CORES } from '#shared/frame/cores.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { type Lifecycle, serveHealth } from '#shared/frame/lifecycle.ts'
import { defineStep } from '#shared/frame/step.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { Breaker } from '#shared/frame/upstreams/breaker.ts'
import { WorkerPool } from '../../../services/analyze/worker-pool.ts'
import { Queue } from '../../../tools/local/pubsub/queue.ts'
import { surroundings, until } from '../../support/chain.ts'
import { patient } from '../../support/patience.ts'

/** Duration of the work, seconds: longer than a lease. Set BUSY_SECONDS=60 for the full length. */
const SECONDS = Number(process.env.BUSY_SECONDS ?? 11)
t.setTimeout(patient(1000 * SECONDS + 400_000))

const around = await surroundings()
const { config } = around
const bus = pubsubBus({ projectId: config.project, endpoint: config.pubsub, leaseSeconds: 10 })
const entry = new URL('../../support/processes/busy-worker.ts', import.meta.url)
const pool = new WorkerPool({ threads: CORES, entry })
const log = createLog('busy', 'fatal')
const metrics = createMetrics('busy')
const never = new AbortController().signal
const closers: (() => Promise<unknown>)[] = []
const lifecycle: Lifecycle = {
  stopping: never,
  aborting: never,
  onClose: (_, close) => closers.push(close),
  exitWith: () => {},
  leave: () => {},
}
t.teardown(async () => {
  for (const close of closers) await close()
  await pool.close()
  await bus.close()
  await around.close()
})

/** The times at which leases were extended, by message. */
const extended = new Map<number, number[]>()
const { modify } = Queue.prototype
Queue.prototype.modify = function (id, attempt, leaseSeconds, now) {
  if (leaseSeconds > 0) extended.set(id, [...(extended.get(id) ?? []), performance.now()])
  modify.call(this, id, attempt, leaseSeconds, now)
}

const Due = defineMessage('busy-test@1', { n: Type.Integer() })
const busy = defineStep({
  name: 'analyze',
  input: Due,
  subject: () => ({}),
  // Runs until it is aborted.
  run: (_, { signal }) => pool.use(signal, (ask) => ask('listen', 0)) as never,
})

t.test('leases are extended and /healthz answers while every core computes', async (t) => {
  const events: StepEvent[] = []
  const handle = delivering(busy, {
    ...{ bus, log, metrics, stopping: never, aborting: never },
    events: { report: async (event) => void events.push(event) },
    ...{ assets: around.store('assets'), scratch: around.store('scratch') },
    breaker: new Breaker({ log, metrics, stopping: never }),
    hardLimitMs: SECONDS * 1000,
  })
  const attempts: number[] = []
  const began = performance.now()
  const subscriber = bus.subscribe(
    'analyze',
    { concurrency: CORES, longestMs: SECONDS * 1000 + 10_000, onError: () => {} },
    async (delivery) => {
      attempts.push(delivery.attempt)
      if (delivery.attempt > 1) return 'ack'
      return handle(delivery)
    },
  )
  closers.push(() => subscriber.close())
  for (let n = 0; n < CORES; n++) {
    await bus.publish('analyze', { data: Buffer.from(JSON.stringify({ n })), attributes: {} })
  }
  const port = await serveHealth(
    { host: '127.0.0.1', port: 0 },
    metrics,
    () => 'busy',
    lifecycle,
  )
  await until(() => attempts.length === CORES, 60_000)
  const answers: number[] = []
  while (events.length < CORES) {
    const asked = performance.now()
    const response = await fetch(`http://127.0.0.1:${port}/healthz`)
    t.equal(await response.text(), 'ok\n')
    answers.push(performance.now() - asked)
    await sleep(100)
  }
  answers.sort((a, b) => a - b)
  const median = answers[answers.length >> 1] ?? 0
  t.comment(
    `/healthz: median ${median.toFixed(1)} ms, slowest ${answers.at(-1)?.toFixed(1)} ms`,
  )
  t.ok(median < 200)
  t.same(attempts.slice(0, CORES), Array(CORES).fill(1), 'nobody else was lent them meanwhile')
  const gaps = [...extended.values()].map((times) =>
    Math.max(...times.map((at, i) => at - (times[i - 1] ?? began))),
  )
  t.equal(gaps.length, CORES)
  t.comment(`leases extended at most ${(Math.max(...gaps) / 1000).toFixed(1)} s apart`)
  for (const event of events) {
    const sentence = `stopped at the hard limit of ${SECONDS} s`
    t.match(event, { verdict: 'retry', sentence })
  }
  await until(() => attempts.length === 2 * CORES, 60_000)
  t.same(attempts.slice(CORES), Array(CORES).fill(2), 'they have been given back')
  // A worker that was still computing would occupy a place.
  t.same(await pool.use(never, (ask) => ask('listen', 1)), [])
})

t.test('/readyz says which upstream is down', async (t) => {
  let reason: string | undefined = 'assets: ENOSPC: no space left on device'
  const port = await serveHealth(
    { host: '127.0.0.1', port: 0 },
    metrics,
    () => reason,
    lifecycle,
  )
  const look = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`)
    return [response.status, await response.text()]
  }
  t.same(await look(), [503, 'not ready: assets: ENOSPC: no space left on device\n'])
  reason = undefined
  t.same(await look(), [200, 'ready\n'])
})
