import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Delivery, Settlement } from '#shared/bus/bus.ts'
import { type PubsubBusOptions, pubsubBus } from '#shared/bus/pubsub.ts'
import type { Topology } from '#shared/contracts/topology.ts'
import { anyPort } from '../../../tools/local/port.ts'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { patient } from '../../support/patience.ts'

const MESSAGE = { data: Buffer.from('x'), attributes: {} }
const NEWS: Topology = {
  topics: ['news'],
  deadLetterTopic: 'news',
  subscriptions: [
    {
      name: 'news',
      topic: 'news',
      ackDeadlineSeconds: 10,
      minBackoffSeconds: 0,
      maxBackoffSeconds: 1,
      retentionSeconds: 86_400,
    },
  ],
}

/** A bus, and how to bring up and down the server that it talks to. */
async function wired(t: Test, options: Partial<PubsubBusOptions> = {}) {
  const port = await anyPort()
  const file = join(t.testdir(), 'queue.sqlite')
  const bus = pubsubBus({ projectId: 'demo', endpoint: `127.0.0.1:${port}`, ...options })
  let server: { close(): Promise<void> } | undefined
  const down = async () => {
    await server?.close()
    server = undefined
  }
  t.teardown(async () => {
    await bus.close()
    await down()
  })
  return {
    bus,
    down,
    async up() {
      server = await startPubsubServer({ port, file })
      await bus.ensure(NEWS)
    },
  }
}

const LISTENING = { concurrency: 1, longestMs: 1000, onError: () => {} }

t.test('a subscriber that never found its server can be closed', async (t) => {
  const { bus } = await wired(t)
  const subscriber = bus.subscribe('news', LISTENING, async () => 'ack')
  await sleep(100)
  await subscriber.close()
})

t.test('a publish that finds no server fails in good time', async (t) => {
  const { bus } = await wired(t, { publishTimeoutMs: 500 })
  const begun = performance.now()
  await t.rejects(bus.publish('news', MESSAGE))
  t.ok(performance.now() - begun < patient(5000))
})

t.test('a ping tells whether anybody answers, whatever the answer', async (t) => {
  const { bus, up, down } = await wired(t)
  await t.rejects(bus.ping(), 'nobody is there')
  await up()
  await t.resolves(bus.ping(), 'there is no topic of that name, and that is an answer')
  await down()
  await t.rejects(bus.ping())
})

t.test('a publish waits for a server that is on its way', async (t) => {
  const { bus, up } = await wired(t)
  const ensured = Promise.withResolvers<void>()
  setTimeout(() => up().then(ensured.resolve, ensured.reject), 500)
  // Until its topic is there a publish is refused for good, so the topic comes first.
  await bus.ensure(NEWS)
  t.match(await bus.publish('news', MESSAGE), /^\d+$/)
  await ensured.promise
})

t.test(
  'a server that goes and comes back is found again by publisher and subscriber',
  async (t) => {
    const { bus, up, down } = await wired(t)
    await up()
    const received: string[] = []
    const errors: Error[] = []
    const onError = (error: Error) => errors.push(error)
    const subscriber = bus.subscribe('news', { ...LISTENING, onError }, async ({ id }) => {
      received.push(id)
      return 'ack'
    })
    const first = await bus.publish('news', MESSAGE)
    while (!received.includes(first)) await sleep(10)
    await down()
    const publishing = bus.publish('news', MESSAGE)
    await sleep(500)
    await up()
    const second = await publishing
    while (!received.includes(second)) await sleep(10)
    t.ok(errors.length > 0, 'and the fault was reported')
    t.ok(Date.now() - subscriber.heard.getTime() < patient(5000))
    await subscriber.close()
  },
)

t.test('a handler that throws gives its message back, and is reported', async (t) => {
  const { bus, up } = await wired(t)
  await up()
  const errors: string[] = []
  const again = Promise.withResolvers<void>()
  let deliveries = 0
  const onError = ({ message }: Error) => errors.push(message)
  const subscriber = bus.subscribe('news', { ...LISTENING, onError }, async () => {
    if (++deliveries === 1) throw new Error('a fault in the handler')
    again.resolve()
    return 'ack'
  })
  await bus.publish('news', MESSAGE)
  await again.promise
  t.same(errors, ['a fault in the handler'])
  await subscriber.close()
})

t.test(
  'closing waits no longer than a handler may run, and gives back what hangs',
  async (t) => {
    const { bus, up } = await wired(t)
    await up()
    await bus.publish('news', MESSAGE)
    const begun = Promise.withResolvers<void>()
    const hanging = bus.subscribe('news', LISTENING, () => {
      begun.resolve()
      return new Promise<Settlement>(() => {})
    })
    await begun.promise
    const closing = performance.now()
    await hanging.close()
    const took = performance.now() - closing
    t.ok(took > 900 && took < 6000, `${took} ms`)
    const got = Promise.withResolvers<Delivery>()
    const next = bus.subscribe('news', LISTENING, async (delivery) => {
      got.resolve(delivery)
      return 'ack'
    })
    await got.promise
    await next.close()
  },
)

t.test('closing ends in good time while the server is away', async (t) => {
  const { bus, up, down } = await wired(t)
  await up()
  await bus.publish('news', MESSAGE)
  const begun = Promise.withResolvers<void>()
  const subscriber = bus.subscribe('news', LISTENING, async () => {
    begun.resolve()
    await sleep(300)
    return 'ack'
  })
  await begun.promise
  await down()
  const closing = performance.now()
  await subscriber.close()
  t.ok(performance.now() - closing < patient(8000))
})

t.test('closing the bus waits for what is being published', async (t) => {
  const { up, bus } = await wired(t)
  await up()
  const publishing = Array.from({ length: 100 }, () => bus.publish('news', MESSAGE))
  await bus.close()
  t.equal(new Set(await Promise.all(publishing)).size, 100)
})
