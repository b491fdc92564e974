import { setTimeout as sleep } from 'node:timers/promises'
import { pubsubBus } from '#shared/bus/pubsub.ts'

// One end of wire.bench.ts.
const [role, settings = ''] = process.argv.slice(2)
const { endpoint, projectId, topic, messages, perSecond, concurrency } = JSON.parse(settings)
const bus = pubsubBus({ endpoint, projectId })
const now = () => performance.timeOrigin + performance.now()

if (role === 'publish') await publish()
else await subscribe()
await bus.close()
process.disconnect?.()

async function publish(): Promise<void> {
  const body = Buffer.alloc(1000, 'x')
  // As many messages under way as a service that awaits each publish might have.
  const windows = perSecond ? perSecond : 2000
  for (let sent = 0; sent < messages; ) {
    const count = Math.min(perSecond ? 1 : windows, messages - sent)
    const batch = Array.from({ length: count }, () =>
      bus.publish(topic, { data: body, attributes: { at: String(now()) } }),
    )
    sent += count
    await Promise.all(batch)
    if (perSecond) await sleep(1000 / perSecond)
  }
}

async function subscribe(): Promise<void> {
  const latencies: number[] = []
  let first = 0
  let last = 0
  const done = Promise.withResolvers<void>()
  const subscriber = bus.subscribe(
    topic,
    { concurrency, prefetch: concurrency, longestMs: 30_000, onError: console.error },
    async ({ attributes }) => {
      const at = Number(attributes.at)
      first ||= at
      last = now()
      latencies.push(last - at)
      if (latencies.length === messages) done.resolve()
      return 'ack'
    },
  )
  await sleep(500)
  process.send?.('ready')
  await done.promise
  await subscriber.close()
  latencies.sort((a, b) => a - b)
  const percentile = (share: number) =>
    latencies[Math.floor(latencies.length * share)]?.toFixed(1)
  process.send?.({
    p50: percentile(0.5),
    p99: percentile(0.99),
    seconds: (last - first) / 1000,
  })
}
