import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { mock } from 'node:test'
import fc from 'fast-check'
import t from 'tap'
import { pull } from '../../../tools/local/pubsub/api/operations.ts'
import { Broker } from '../../../tools/local/pubsub/broker.ts'
import type { Consumer, Lease } from '../../../tools/local/pubsub/lease.ts'
import { SqliteJournal } from '../../../tools/local/pubsub/sqlite-journal.ts'
import { setClock } from '../../support/clock.ts'
import { lull, until } from '../../support/patience.ts'

const TOPIC = 'projects/demo/topics/news'
const A = 'projects/demo/subscriptions/aaa'
const B = 'projects/demo/subscriptions/bbb'

function open(file: string, options: { cacheBytes?: number } = {}) {
  const journal = new SqliteJournal(file)
  const broker = new Broker(journal, {
    onFatal(error) {
      throw error
    },
    ...options,
  })
  return {
    broker,
    journal,
    close() {
      broker.close()
      journal.close()
    },
  }
}

/** Field 1, `data`, of an encoded message. */
function body(text: string): Buffer {
  const data = Buffer.from(text)
  if (data.length < 128) return Buffer.concat([Buffer.of(10, data.length), data])
  return Buffer.concat([Buffer.of(10, (data.length % 128) | 128, data.length >> 7), data])
}

function takeLeases(broker: Broker, subscription: string, max = 1000): Lease[] {
  const queue = broker.queue(subscription)
  queue.pump()
  return queue.lease(max)
}

/** The leases that there are next. */
function nextLeases(broker: Broker, subscription: string): Promise<Lease[]> {
  return until(() => {
    const leases = takeLeases(broker, subscription)
    return leases.length > 0 && leases
  })
}

function consumer(maxMessages: number, maxBytes: number, leaseMs = 10_000) {
  const leases: Lease[] = []
  const made: Consumer & { leases: Lease[] } = {
    leases,
    maxMessages,
    maxBytes,
    leaseMs,
    outstanding: 0,
    outstandingBytes: 0,
    blocked: false,
    deliver: (batch) => leases.push(...batch),
    end: () => {},
  }
  return made
}

t.test(
  'in any sequence, unacknowledged messages remain and acknowledged ones do not',
  async (t) => {
    const operation = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant('publish'), n: fc.nat(30) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('pull'), n: fc.nat(30) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('ack'), n: fc.nat(30) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('nack'), n: fc.nat(30) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('restart'), n: fc.nat(1) }) },
    )
    let run = 0
    const folder = t.testdir()
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
        const file = join(folder, `${run++}.sqlite`)
        let server = open(file)
        server.broker.createTopic({ name: TOPIC })
        const waiting = new Map<string, Set<number>>()
        for (const name of [A, B]) {
          server.broker.createSubscription({ name, topic: TOPIC })
          waiting.set(name, new Set())
        }
        let held: { name: string; lease: Lease }[] = []
        let count = 0
        for (const { do: what, n } of operations) {
          if (what === 'publish') {
            const bodies = Array.from({ length: n }, () => body(`message ${count++}`))
            const ids = server.broker.publish(TOPIC, bodies)
            for (const ids_ of waiting.values()) for (const id of ids) ids_.add(id)
          } else if (what === 'pull') {
            for (const name of [A, B])
              for (const lease of takeLeases(server.broker, name, n)) held.push({ name, lease })
          } else if (what === 'restart') {
            server.close()
            server = open(file)
            // Acknowledging what was leased before a restart still counts.
          } else {
            const some = held.splice(0, n)
            for (const { name, lease } of some) {
              const queue = server.broker.queue(name)
              if (what === 'ack') {
                queue.ack(lease.id)
                waiting.get(name)?.delete(lease.id)
              } else queue.modify(lease.id, lease.attempt, 0)
            }
          }
          for (const { name, lease } of held)
            if (!waiting.get(name)?.has(lease.id))
              held = held.filter((each) => each.lease !== lease)
        }
        server.close()
        server = open(file)
        for (const name of [A, B]) {
          const left = takeLeases(server.broker, name, 100_000).map(({ id }) => id)
          if (left.length !== new Set(left).size) throw new Error('leased twice at once')
          const missing = waiting.get(name)?.symmetricDifference(new Set(left))
          if (missing?.size !== 0)
            throw new Error(`${name}: ${missing?.size} too many or too few`)
        }
        server.close()
      }),
      { numRuns: 60 },
    )
  },
)

t.test('ids never repeat and never decrease, also across a restart', async (t) => {
  const file = join(t.testdir(), 'queue.sqlite')
  const first = open(file)
  first.broker.createTopic({ name: TOPIC })
  first.broker.createSubscription({ name: A, topic: TOPIC })
  const ids = first.broker.publish(
    TOPIC,
    Array.from({ length: 5000 }, () => body('x')),
  )
  first.close()
  const second = open(file)
  t.teardown(() => second.close())
  ids.push(...second.broker.publish(TOPIC, [body('x')]))
  t.ok(ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? 0)))
})

t.test('a consumer is leased no more messages and bytes than it asked for', async (t) => {
  const { broker, close } = open(':memory:')
  t.teardown(close)
  broker.createTopic({ name: TOPIC })
  broker.createSubscription({ name: A, topic: TOPIC })
  const queue = broker.queue(A)
  const few = consumer(3, Number.POSITIVE_INFINITY)
  queue.attach(few)
  broker.publish(
    TOPIC,
    Array.from({ length: 10 }, () => body('x')),
  )
  await until(() => few.leases.length >= 3)
  await lull(20)
  t.equal(few.leases.length, 3)
  queue.ack(few.leases[0]?.id ?? 0)
  await until(() => few.leases.length >= 4)
  await lull(20)
  t.equal(few.leases.length, 4)
  queue.detach(few, 'all')
  // Delivery stops after the message that exceeds the limit, as in Pub/Sub.
  const light = consumer(100, 2 * body('x').length)
  queue.attach(light)
  await until(() => light.leases.length >= 2)
  await lull(20)
  t.equal(light.leases.length, 2)
})

t.test('consumers get equal shares, also when one of them settles nothing', async (t) => {
  const { broker, close } = open(':memory:')
  t.teardown(close)
  broker.createTopic({ name: TOPIC })
  broker.createSubscription({ name: A, topic: TOPIC })
  const both = [consumer(1000, 1e9), consumer(1000, 1e9)]
  for (const each of both) broker.queue(A).attach(each)
  broker.publish(
    TOPIC,
    Array.from({ length: 100 }, () => body('x')),
  )
  await until(() => both.flatMap(({ leases }) => leases).length >= 100)
  t.same(
    both.map(({ leases }) => leases.length),
    [50, 50],
  )
})

t.test('leases expire unless they are extended', async (t) => {
  const { broker, close } = open(':memory:')
  t.teardown(close)
  broker.createTopic({ name: TOPIC })
  broker.createSubscription({ name: A, topic: TOPIC })
  const [kept, lost] = broker.publish(TOPIC, [body('kept'), body('lost')])
  const hasty = consumer(10, 1e9, 300)
  broker.queue(A).attach(hasty)
  await until(() => hasty.leases.length >= 2)
  t.equal(hasty.leases.length, 2)
  broker.queue(A).detach(hasty, 'none')
  broker.queue(A).modify(kept ?? 0, 1, 60)
  t.match(await nextLeases(broker, A), [{ id: lost, attempt: 2 }])
  await lull(300)
  t.same(takeLeases(broker, A), [])
})

t.test('a lease can be shortened, and only its holder can give it back', async (t) => {
  const { broker, close } = open(':memory:')
  t.teardown(close)
  broker.createTopic({ name: TOPIC })
  broker.createSubscription({ name: A, topic: TOPIC })
  broker.publish(TOPIC, [body('x')])
  const [first] = takeLeases(broker, A)
  const queue = broker.queue(A)
  queue.modify(first?.id ?? 0, 1, 0)
  const [second] = takeLeases(broker, A)
  t.equal(second?.attempt, 2)
  queue.modify(first?.id ?? 0, 1, 0)
  t.same(takeLeases(broker, A), [], 'the first lease is no longer anyone’s')
})

t.test('without a dead-letter topic a message is delivered without end', async (t) => {
  const { broker, close } = open(':memory:')
  t.teardown(close)
  broker.createTopic({ name: TOPIC })
  const deadLetterTopic = 'projects/demo/topics/missing'
  const deadLetterPolicy = { deadLetterTopic, maxDeliveryAttempts: 5 }
  t.throws(
    () => broker.createSubscription({ name: A, topic: TOPIC, deadLetterPolicy }),
    /topics\/missing/,
  )
  broker.createTopic({ name: deadLetterTopic })
  broker.createSubscription({ name: A, topic: TOPIC, deadLetterPolicy })
  broker.deleteTopic(deadLetterTopic)
  broker.publish(TOPIC, [body('x')])
  for (let attempt = 1; attempt < 10; attempt++) {
    const [lease] = takeLeases(broker, A)
    t.equal(lease?.attempt, attempt)
    broker.queue(A).modify(lease?.id ?? 0, attempt, 0)
  }
})

t.test('attempts and back-off outlive a restart', async (t) => {
  const file = join(t.testdir(), 'queue.sqlite')
  const first = open(file)
  first.broker.createTopic({ name: TOPIC })
  const retryPolicy = { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 600 } }
  first.broker.createSubscription({ name: A, topic: TOPIC, retryPolicy })
  const [id] = first.broker.publish(TOPIC, [body('x')])
  takeLeases(first.broker, A)
  first.broker.queue(A).modify(id ?? 0, 1, 0)
  first.close()
  const second = open(file)
  t.teardown(() => second.close())
  t.same(takeLeases(second.broker, A), [])
  t.match(await nextLeases(second.broker, A), [{ id, attempt: 2 }])
})

t.test(
  'a backlog larger than the memory limit is delivered completely and in order',
  async (t) => {
    const { broker, close } = open(':memory:', { cacheBytes: 100_000 })
    t.teardown(close)
    broker.createTopic({ name: TOPIC })
    broker.createSubscription({ name: A, topic: TOPIC })
    const texts = Array.from({ length: 25_000 }, (_, i) => `${i}`.padEnd(200, '.'))
    const ids = broker.publish(TOPIC, texts.map(body))
    const got: Lease[] = []
    for (
      let leases = takeLeases(broker, A);
      leases.length > 0;
      leases = takeLeases(broker, A)
    ) {
      got.push(...leases)
      for (const { id } of leases) broker.queue(A).ack(id)
    }
    t.same(
      got.map(({ id }) => id),
      ids,
    )
    t.ok(got.every((lease, i) => lease.body.equals(body(texts[i] ?? ''))))
  },
)

t.test(
  'an ack of a message not yet read after a restart removes it for one subscription only',
  async (t) => {
    const file = join(t.testdir(), 'queue.sqlite')
    const first = open(file)
    first.broker.createTopic({ name: TOPIC })
    for (const name of [A, B]) first.broker.createSubscription({ name, topic: TOPIC })
    // More than one page of the journal.
    const texts = Array.from({ length: 15_000 }, (_, i) => `${i}`)
    const ids = first.broker.publish(TOPIC, texts.map(body))
    first.close()
    const second = open(file)
    t.teardown(() => second.close())
    const last = ids.at(-1) ?? 0
    second.broker.queue(A).ack(last)
    const got = new Set<number>()
    for (
      let leases = takeLeases(second.broker, B);
      leases.length > 0;
      leases = takeLeases(second.broker, B)
    )
      for (const { id } of leases) {
        got.add(id)
        second.broker.queue(B).ack(id)
      }
    t.equal(got.size, ids.length)
    t.ok(got.has(last))
    t.ok(second.journal.body(ids[0] ?? 0), 'what the other has still to get is there')
    t.equal(second.journal.body(last), undefined, 'and what both have had is not')
  },
)

t.test('a deleted subscription loses its messages, and no others are removed', async (t) => {
  const file = join(t.testdir(), 'queue.sqlite')
  const { broker, journal, close } = open(file)
  t.teardown(close)
  broker.createTopic({ name: TOPIC })
  for (const name of [A, B]) broker.createSubscription({ name, topic: TOPIC })
  const ids = broker.publish(TOPIC, [body('x'), body('y')])
  broker.deleteSubscription(A)
  t.same(
    takeLeases(broker, B).map(({ id }) => id),
    ids,
  )
  for (const id of ids) broker.queue(B).ack(id)
  t.same(
    ids.map((id) => journal.body(id)),
    [undefined, undefined],
    'the last one took the bodies',
  )
})

t.test('messages older than the retention are dropped', async (t) => {
  const { broker, journal, close } = open(':memory:')
  t.teardown(close)
  broker.createTopic({ name: TOPIC })
  const retention = { messageRetentionDuration: { seconds: 600 } }
  broker.createSubscription({ name: A, topic: TOPIC, ...retention })
  const [id] = broker.publish(TOPIC, [body('x')])
  broker.queue(A).expire(Date.now() + 590_000)
  t.ok(journal.body(id ?? 0))
  broker.queue(A).expire(Date.now() + 610_000)
  t.notOk(journal.body(id ?? 0))
  t.same(takeLeases(broker, A), [])
})

t.test('a clock that is set back delays neither leases nor back-offs', async (t) => {
  t.teardown(() => setClock(0))
  const file = join(t.testdir(), 'queue.sqlite')
  const server = open(file)
  server.broker.createTopic({ name: TOPIC })
  const backoff = { minimumBackoff: { nanos: 2e8 }, maximumBackoff: { seconds: 1 } }
  server.broker.createSubscription({ name: A, topic: TOPIC, retryPolicy: backoff })
  server.broker.publish(TOPIC, [body('leased'), body('given back')])
  const client = consumer(10, 1e6, 300)
  server.broker.queue(A).attach(client)
  await until(() => client.leases.length >= 2)
  const [first, second] = client.leases as [Lease, Lease]
  server.broker.queue(A).modify(second.id, second.attempt, 0)
  setClock(-3600_000)
  await until(() => client.leases.length >= 4)
  t.same(
    client.leases
      .slice(2)
      .map(({ id, attempt }) => [id, attempt])
      .sort(),
    [first, second].map(({ id }) => [id, 2]),
    'both come again',
  )
  server.broker.publish(TOPIC, [body('new')])
  await until(() => client.leases.length >= 5)
  t.ok((client.leases[4]?.id ?? 0) > second.id, 'ids go on')
  server.close()

  // Another process, whose clock is an hour behind that of the one which noted the time of the next attempt.
  setClock(0)
  const before = open(file)
  const later = takeLeases(before.broker, A)
  const queue = before.broker.queue(A)
  for (const { id, attempt } of later) queue.modify(id, attempt, 0)
  before.close()
  for (const row of rows(file)) t.ok(row.due > Date.now() - 60_000, 'a back-off is noted')
  shiftDue(file, 3600_000)
  const after = open(file)
  const next = consumer(10, 1e6)
  after.broker.queue(A).attach(next)
  await until(() => next.leases.length >= later.length)
  t.ok(later.length > 0, 'no longer than a back-off may be')
  after.close()
})

t.test(
  'messages that wait at the head of a queue do not hide those behind them, after a restart',
  async (t) => {
    const file = join(t.testdir(), 'queue.sqlite')
    const first = open(file)
    first.broker.createTopic({ name: TOPIC })
    const retryPolicy = { minimumBackoff: { seconds: 600 }, maximumBackoff: { seconds: 600 } }
    first.broker.createSubscription({ name: A, topic: TOPIC, retryPolicy })
    const many = 25_000
    for (let n = 0; n < many; n += 1000)
      first.broker.publish(
        TOPIC,
        Array.from({ length: 1000 }, () => body('waits')),
      )
    const queue = first.broker.queue(A)
    for (let back = 0; back < many; ) {
      const leases = takeLeases(first.broker, A)
      for (const { id, attempt } of leases) queue.modify(id, attempt, 0)
      back += leases.length
      await new Promise(setImmediate)
    }
    first.broker.publish(TOPIC, [body('ready')])
    first.close()

    const second = open(file)
    const client = consumer(10, 1e6)
    second.broker.queue(A).attach(client)
    await until(() => client.leases.length >= 1)
    t.match(client.leases[0]?.body, body('ready'))
    t.equal(client.leases.length, 1)
    second.close()
  },
)

function rows(file: string): { due: number }[] {
  const db = new DatabaseSync(file)
  const found = db.prepare('select due from deliveries').all() as { due: number }[]
  db.close()
  return found
}

function shiftDue(file: string, ms: number): void {
  const db = new DatabaseSync(file)
  db.prepare('update deliveries set due = due + ?').run(ms)
  db.close()
}

t.test('a pull that finds nothing is answered after five seconds', async (t) => {
  const { broker, close } = open(join(t.testdir(), 'idle.sqlite'))
  t.teardown(close)
  broker.createTopic({ name: TOPIC })
  broker.createSubscription({ name: A, topic: TOPIC })
  const answers: Lease[][] = []
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  pull(broker, { subscription: A, max: 1, wait: true }, (leases) => answers.push(leases))
  mock.timers.tick(4_999)
  t.same(answers, [])
  mock.timers.tick(1)
  t.same(answers, [[]])
})
