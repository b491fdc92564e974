import { execFile, fork } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import type { Delivery, Outgoing, Settlement, SubscribeOptions } from '#shared/bus/bus.ts'
import { type PubsubBus, pubsubBus } from '#shared/bus/pubsub.ts'
import type { Topology } from '#shared/contracts/topology.ts'
import type { KnownFault, Wire } from '../../tools/bench/wires.ts'
import { lull, patient, until } from '../support/patience.ts'

const PROJECT = 'conformance'
const DYING_CLIENT = new URL('bus-dying-client.ts', import.meta.url).pathname

/** What every wire must do that the chain is to run on. */
export async function busConformance(t: Test, wire: Wire): Promise<void> {
  const another = (options: { publishTimeoutMs?: number } = {}) =>
    pubsubBus({ projectId: PROJECT, endpoint: wire.endpoint, leaseSeconds: 10, ...options })
  const bus = another()
  t.teardown(() => bus.close())
  const unless = (fault: KnownFault) =>
    wire.knownFaults.includes(fault) ? { skip: `known fault: ${fault}` } : {}

  // These wait more than they work: at the same time, for they share no topic.
  t.jobs = 20
  const waiting: Promise<unknown>[] = []
  const patiently = (
    name: string,
    options: { skip?: string },
    test: (t: Test) => Promise<unknown>,
  ) => waiting.push(t.test(name, { buffered: true, ...options }, test))
  patiently('what is published is received, once, with its attributes', {}, async (t) => {
    const { topic } = await made(bus)
    const before = Date.now()
    const id = await bus.publish(topic, {
      data: Buffer.from('häl\0lo'),
      attributes: { a: 'ß' },
    })
    const received = subscribe(t, bus, topic)
    const [delivery] = await received.count(1)
    t.match(delivery, { id, attempt: 1, attributes: { a: 'ß' } })
    t.equal(delivery?.data.toString(), 'häl\0lo')
    t.ok(Math.abs((delivery?.published.getTime() ?? 0) - before) < 60_000)
    await lull(300)
    t.equal(received.deliveries.length, 1)
  })

  patiently('every subscription of a topic gets every message', {}, async (t) => {
    const { topic } = await made(bus)
    const twin = `${topic}-twin`
    await bus.ensure(one(topic, { subscription: twin }))
    const ids = await publish(bus, topic, 20)
    const [a, b] = [subscribe(t, bus, topic), subscribe(t, bus, twin)]
    t.same(sorted(await a.count(20)), ids)
    t.same(sorted(await b.count(20)), ids)
  })

  patiently(
    'a message that is given back comes again, and its attempts are counted',
    {},
    async (t) => {
      const { topic } = await made(bus)
      await publish(bus, topic, 1)
      const received = subscribe(t, bus, topic, {}, async ({ attempt }) =>
        attempt < 3 ? 'nack' : 'ack',
      )
      await received.count(3)
      t.same(
        received.deliveries.map(({ attempt }) => attempt),
        [1, 2, 3],
      )
    },
  )

  patiently(
    'a message that is given back waits for as long as the retry policy says',
    unless('the first nack is not backed off'),
    async (t) => {
      const { topic } = await made(bus, { minBackoffSeconds: 1 })
      await publish(bus, topic, 1)
      const times: number[] = []
      const received = subscribe(t, bus, topic, {}, async ({ attempt }) => {
        times.push(performance.now())
        return attempt === 1 ? 'nack' : 'ack'
      })
      await received.count(2)
      t.ok((times[1] ?? 0) - (times[0] ?? 0) >= 950, `${times}`)
    },
  )

  patiently('a lease that runs out brings the message again', {}, async (t) => {
    const { topic } = await made(bus)
    await publish(bus, topic, 1)
    const rest = restOf(wire)
    const { receivedMessages } = await rest(`subscriptions/${topic}:pull`, { maxMessages: 1 })
    const ackIds = receivedMessages.map(({ ackId }: { ackId: string }) => ackId)
    t.equal(ackIds.length, 1)
    await rest(`subscriptions/${topic}:modifyAckDeadline`, { ackIds, ackDeadlineSeconds: 1 })
    const received = subscribe(t, bus, topic)
    t.match(await received.count(1), [{ attempt: 2 }])
  })

  patiently('a lease is kept for as long as the work goes on', {}, async (t) => {
    const { topic } = await made(bus)
    await publish(bus, topic, 1)
    const working = subscribe(t, bus, topic, { longestMs: 60_000 }, async () => {
      await sleep(12_000)
      return 'ack'
    })
    const other = another()
    t.teardown(() => other.close())
    await working.count(1)
    const idle = subscribe(t, other, topic)
    await lull(12_500)
    t.equal(working.deliveries.length + idle.deliveries.length, 1)
  })

  patiently(
    'after the last attempt a message is found among the dead letters',
    {},
    async (t) => {
      const { topic, deadLetters } = await made(bus, { maxDeliveryAttempts: 5 })
      const [id] = await publish(bus, topic, 1)
      const received = subscribe(t, bus, topic, {}, async () => 'nack')
      const dead = subscribe(t, bus, deadLetters)
      const [letter] = await dead.count(1)
      t.equal(received.deliveries.length, 5)
      t.equal(letter?.data.toString(), 'message 0')
      t.match(letter?.attributes, {
        number: '0',
        CloudPubSubDeadLetterSourceSubscription: topic,
        CloudPubSubDeadLetterSourceSubscriptionProject: PROJECT,
        CloudPubSubDeadLetterSourceDeliveryCount: '5',
        CloudPubSubDeadLetterSourceTopicPublishTime: /^20\d\d-\d\d-\d\dT/,
      })
      t.not(letter?.id, id)
      await lull(500)
      t.equal(received.deliveries.length, 5)
    },
  )

  patiently('no more handlers run at once than was asked for', {}, async (t) => {
    const { topic } = await made(bus)
    await publish(bus, topic, 30)
    let running = 0
    let most = 0
    const options = { concurrency: 3, prefetch: 20 }
    const received = subscribe(t, bus, topic, options, async () => {
      most = Math.max(most, ++running)
      await sleep(20)
      running--
      return 'ack'
    })
    await received.count(30)
    t.equal(most, 3)
  })

  patiently(
    'subscribers of one subscription share its messages',
    unless('flow control is ignored: one subscriber gets everything'),
    async (t) => {
      const { topic } = await made(bus)
      const other = another()
      t.teardown(() => other.close())
      const slowly = async (): Promise<Settlement> => {
        await sleep(100)
        return 'ack'
      }
      const a = subscribe(t, bus, topic, { concurrency: 1 }, slowly)
      const b = subscribe(t, other, topic, { concurrency: 1 }, slowly)
      // Each takes part once it is connected, which shows when it gets something.
      const ids: string[] = []
      await until(async () => {
        ids.push(...(await publish(bus, topic, 1)))
        return a.deliveries.length > 0 && b.deliveries.length > 0
      })
      ids.push(...(await publish(bus, topic, 20)))
      await until(() => a.deliveries.length + b.deliveries.length >= ids.length)
      t.same(sorted([...a.deliveries, ...b.deliveries]), ids.sort(), 'each went to one of them')
      t.ok(a.deliveries.length >= 5, `${a.deliveries.length} went to the one`)
      t.ok(b.deliveries.length >= 5, `${b.deliveries.length} went to the other`)
    },
  )

  patiently('closing during work acks what ran and gives back what waited', {}, async (t) => {
    const { topic } = await made(bus)
    const ids = await publish(bus, topic, 10)
    const leaving = another()
    const first = subscribe(t, leaving, topic, { concurrency: 1, prefetch: 9 }, async () => {
      await sleep(1500)
      return 'ack'
    })
    await first.count(1)
    // Long enough for the other nine to have arrived as well.
    await sleep(500)
    const closing = first.subscriber.close()
    const begun = performance.now()
    const second = subscribe(t, bus, topic)
    const [ran] = first.deliveries
    const rest = ids.filter((id) => id !== ran?.id)
    await until(() => second.deliveries.length >= rest.length)
    t.ok(performance.now() - begun < patient(1000), 'within a second')
    t.same(sorted(second.deliveries), rest)
    await closing
    await leaving.close()
    await lull(500)
    t.equal(first.deliveries.length, 1, 'nothing was started any more')
    t.equal(second.deliveries.length, 9, 'what had run did not come again')
  })

  patiently(
    'a paused subscriber gives back what waits, and goes on when resumed',
    {},
    async (t) => {
      const { topic } = await made(bus)
      const ids = await publish(bus, topic, 5)
      const received = subscribe(t, bus, topic, { concurrency: 1, prefetch: 4 }, async () => {
        if (received.deliveries.length === 1) received.subscriber.pause()
        return 'ack'
      })
      await received.count(1)
      await lull(1000)
      t.equal(received.deliveries.length, 1)
      received.subscriber.resume()
      t.same(sorted(await received.count(5)), ids)
    },
  )

  patiently('publishing to a topic that does not exist is refused', {}, async (t) => {
    await t.rejects(bus.publish(`missing-${randomUUID()}`, message(0)), { code: 5 })
  })

  patiently(
    'a subscriber that is there before its topic works as soon as it is',
    {},
    async (t) => {
      const topic = `late-${randomUUID()}`
      const received = subscribe(t, bus, topic)
      await until(() => received.errors.length > 0)
      await bus.ensure(one(topic))
      await publish(bus, topic, 3)
      await received.count(3)
    },
  )

  patiently('topics and subscriptions may be ensured again', {}, async (t) => {
    const { topic } = await made(bus)
    await publish(bus, topic, 1)
    await bus.ensure(one(topic))
    await subscribe(t, bus, topic).count(1)
  })

  await Promise.all(waiting)

  // These need the machine to themselves.
  await t.test('a message of 10 MB arrives whole', async (t) => {
    const { topic } = await made(bus)
    // With a little room for the envelope, which the limit of 10 MB for a request includes.
    const data = randomBytes(9_990_000)
    await bus.publish(topic, { data, attributes: {} })
    const [delivery] = await subscribe(t, bus, topic).count(1)
    t.ok(delivery?.data.equals(data))
  })

  await t.test('a message of 11 MB is refused', async (t) => {
    const { topic } = await made(bus)
    // Where the refusal is of the passing kind, the client tries again until its time is up.
    const hasty = another({ publishTimeoutMs: 1000 })
    t.teardown(() => hasty.close())
    await t.rejects(hasty.publish(topic, { data: randomBytes(11_000_000), attributes: {} }))
  })

  await t.test('a backlog of 4,000 messages is worked off, each once', async (t) => {
    const { topic } = await made(bus)
    const ids = await publish(bus, topic, 4000)
    const received = subscribe(t, bus, topic, { concurrency: 500, prefetch: 500 })
    t.same(sorted(await received.count(4000, 60_000)), ids)
  })

  const gcloud = gcloudOf(wire, t.testdir())
  const installed = await promisify(execFile)('which', ['gcloud']).then(
    () => true,
    () => false,
  )
  // That Google's command works with Google's emulator need not be tried; each call takes a core-second.
  const isOurs = wire.killAndRestart !== undefined
  const why = isOurs
    ? 'gcloud is not installed'
    : 'gcloud and the emulator are both Google’s own'
  await t.test(
    'gcloud publishes what the bus receives, and pulls what the bus publishes',
    installed && isOurs ? {} : { skip: why },
    async (t) => {
      const name = `gcloud-${randomUUID()}`
      await gcloud(`pubsub topics create ${name}`)
      await gcloud(`pubsub subscriptions create ${name} --topic=${name}`)
      await gcloud(`pubsub topics publish ${name} --message={"a":1} --attribute=b=c`)
      const received = subscribe(t, bus, name)
      const [delivery] = await received.count(1)
      t.equal(delivery?.data.toString(), '{"a":1}')
      t.match(delivery?.attributes, { b: 'c' })
      await received.subscriber.close()
      await bus.publish(name, message(7))
      const pulled = JSON.parse(
        await gcloud(`pubsub subscriptions pull ${name} --auto-ack --format=json`),
      )
      t.match(pulled, [{ message: { attributes: { number: '7' } } }])
      t.equal(Buffer.from(pulled[0].message.data, 'base64').toString(), 'message 7')
    },
  )

  await t.test(
    'the leases of a client that dies go to another at once',
    unless('the leases of a dead client are kept until they expire'),
    async (t) => {
      const { topic } = await made(bus)
      await publish(bus, topic, 1)
      const dying = fork(DYING_CLIENT, [wire.endpoint, PROJECT, topic])
      await once(dying, 'message')
      dying.kill('SIGKILL')
      const second = subscribe(t, bus, topic)
      t.match(await second.count(1, 5000), [{ attempt: 2 }])
    },
  )

  await t.test(
    'a server that is killed while messages flow loses none, and the clients go on by themselves',
    unless('nothing is persisted'),
    async (t) => {
      const { topic } = await made(bus)
      const received = subscribe(t, bus, topic, { concurrency: 50 })
      const accepted = new Set<string>()
      const publishing = (async () => {
        for (let i = 0; i < 3000; i += 10) {
          const batch = Array.from({ length: 10 }, (_, j) => bus.publish(topic, message(i + j)))
          for (const id of await Promise.all(batch)) accepted.add(id)
        }
      })()
      for (let kill = 0; kill < 3; kill++) {
        await sleep(150 + 100 * Math.random())
        await wire.killAndRestart?.()
      }
      await publishing
      const got = () => new Set(received.deliveries.map(({ id }) => id))
      await until(() => accepted.isSubsetOf(got()))
      t.equal(accepted.size, 3000)
    },
  )

  await t.test(
    'what was acknowledged stays so when the server is killed, what was not comes again',
    unless('nothing is persisted'),
    async (t) => {
      const { topic } = await made(bus)
      const ids = await publish(bus, topic, 100)
      const rest = restOf(wire)
      const lent = new Map<string, string>()
      while (lent.size < 100) {
        const { receivedMessages = [] } = await rest(`subscriptions/${topic}:pull`, {
          maxMessages: 100,
        })
        for (const { ackId, message } of receivedMessages) lent.set(message.messageId, ackId)
      }
      const acked = ids.filter((_, i) => i % 2 === 0)
      const ackIds = acked.map((id) => lent.get(id))
      await rest(`subscriptions/${topic}:acknowledge`, { ackIds })
      await wire.killAndRestart?.()
      const received = subscribe(t, bus, topic)
      const unacked = ids.filter((_, i) => i % 2 === 1)
      await received.count(unacked.length)
      await lull(300)
      t.same(sorted(received.deliveries), unacked)
    },
  )
}

/** A topic, with a subscription of its name, and dead letters. */
async function made(
  bus: PubsubBus,
  spec: { maxDeliveryAttempts?: number; minBackoffSeconds?: number } = {},
): Promise<{ topic: string; deadLetters: string }> {
  const topic = `topic-${randomUUID()}`
  const topology = one(topic, spec)
  await bus.ensure(topology)
  return { topic, deadLetters: topology.deadLetterTopic }
}

function one(
  topic: string,
  {
    subscription = topic,
    maxDeliveryAttempts = 50,
    minBackoffSeconds = 0,
  }: { subscription?: string; maxDeliveryAttempts?: number; minBackoffSeconds?: number } = {},
): Topology {
  const deadLetterTopic = `${topic}-dead`
  const common = {
    ackDeadlineSeconds: 10,
    minBackoffSeconds,
    maxBackoffSeconds: Math.max(1, minBackoffSeconds),
    retentionSeconds: 86_400,
  }
  return {
    topics: [topic, deadLetterTopic],
    deadLetterTopic,
    subscriptions: [
      { name: subscription, topic, ...common, maxDeliveryAttempts },
      { name: deadLetterTopic, topic: deadLetterTopic, ...common },
    ],
  }
}

function message(number: number): Outgoing {
  return { data: Buffer.from(`message ${number}`), attributes: { number: String(number) } }
}

/** @returns the ids, sorted. */
async function publish(bus: PubsubBus, topic: string, count: number): Promise<string[]> {
  const publishing = Array.from({ length: count }, (_, i) => bus.publish(topic, message(i)))
  return (await Promise.all(publishing)).sort()
}

function sorted(deliveries: readonly Delivery[]): string[] {
  return deliveries.map(({ id }) => id).sort()
}

function subscribe(
  t: Test,
  bus: PubsubBus,
  subscription: string,
  options: Partial<SubscribeOptions> = {},
  handler: (delivery: Delivery) => Promise<Settlement> = async () => 'ack',
) {
  const deliveries: Delivery[] = []
  const errors: Error[] = []
  const subscriber = bus.subscribe(
    subscription,
    {
      concurrency: 10,
      longestMs: 5000,
      onError: (error) => errors.push(error),
      ...options,
    },
    (delivery) => {
      deliveries.push(delivery)
      return handler(delivery)
    },
  )
  t.teardown(() => subscriber.close())
  return {
    subscriber,
    deliveries,
    errors,
    /** Waits for `count` deliveries. */
    async count(count: number, patienceMs = 25_000): Promise<Delivery[]> {
      await until(() => deliveries.length >= count, patienceMs)
      return deliveries
    },
  }
}

function restOf(wire: Wire) {
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server says is held against what it should.
  return async (path: string, body: object): Promise<any> => {
    const response = await fetch(`http://${wire.endpoint}/v1/projects/${PROJECT}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
}

function gcloudOf(wire: Wire, config: string) {
  return async (command: string): Promise<string> => {
    const env = {
      ...process.env,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB: `http://${wire.endpoint}/`,
      CLOUDSDK_AUTH_DISABLE_CREDENTIALS: 'true',
      CLOUDSDK_CORE_PROJECT: PROJECT,
      CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
      CLOUDSDK_CONFIG: config,
    }
    const { stdout } = await promisify(execFile)('gcloud', command.split(' '), { env })
    return stdout
  }
}
