import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Broker } from '../../../tools/local/pubsub/broker.ts'
import type { Lease } from '../../../tools/local/pubsub/lease.ts'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { SqliteJournal } from '../../../tools/local/pubsub/sqlite-journal.ts'

// What the local server has answered survives its death at any instant, and messages that are no longer needed are removed.
const TOPIC = 'projects/demo/topics/news'
const [A, B] = ['projects/demo/subscriptions/aaa', 'projects/demo/subscriptions/bbb']
const body = (text: string) => Buffer.concat([Buffer.of(10, text.length), Buffer.from(text)])

interface Server {
  readonly broker: Broker
  readonly journal: SqliteJournal
  readonly file: string
}

let count = 0
function open(t: Test, file = join(t.testdir(), `${count++}.sqlite`)): Server {
  const journal = new SqliteJournal(file)
  const broker = new Broker(journal, {
    onFatal(error) {
      throw error
    },
  })
  t.teardown(() => {
    broker.close()
    journal.close()
  })
  return { broker, journal, file }
}

/** A copy of the files as a death at this instant would leave them: nothing closed, nothing noted. */
function killed(file: string): string {
  const copy = `${file}.killed-${count++}`
  for (const suffix of ['', '-wal']) {
    if (existsSync(`${file}${suffix}`)) cpSync(`${file}${suffix}`, `${copy}${suffix}`)
  }
  return copy
}

const committed = (broker: Broker) =>
  new Promise<void>((resolve) => broker.committed(() => resolve()))

function takeLeases(broker: Broker, subscription = A): Lease[] {
  const queue = broker.queue(subscription)
  queue.pump()
  return queue.lease(1000)
}

async function subscribed(server: Server, names: readonly string[], more: object = {}) {
  server.broker.createTopic({ name: TOPIC })
  for (const name of names) server.broker.createSubscription({ name, topic: TOPIC, ...more })
  await committed(server.broker)
}

t.test('nothing is answered before the journal has committed it', async (t) => {
  const { broker, journal } = open(t)
  const order: string[] = []
  const commit = journal.commit.bind(journal)
  journal.commit = () => {
    commit()
    order.push('commit')
  }
  await subscribed({ broker, journal, file: '' }, [A])
  order.length = 0
  broker.publish(TOPIC, [body('one')])
  const answered = new Promise<void>((resolve) => {
    broker.committed(() => {
      order.push('answer')
      resolve()
    })
  })
  t.same(order, [], 'not within the call')
  await answered
  t.same(order, ['commit', 'answer'])
})

t.test(
  'when the disk refuses, a publisher gets no response that the message was kept',
  async (t) => {
    const file = join(t.testdir(), 'full.sqlite')
    const failed = Promise.withResolvers<Error>()
    const server = await startPubsubServer({ port: 0, file, onFatal: failed.resolve })
    const { commit } = SqliteJournal.prototype
    t.teardown(async () => {
      SqliteJournal.prototype.commit = commit
      await server.close().catch(() => {})
    })
    const call = (method: string, path: string, value: object) =>
      fetch(`http://127.0.0.1:${server.port}/v1/${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(value),
      })
    t.equal((await call('PUT', TOPIC, {})).status, 200)
    t.equal((await call('PUT', A, { topic: TOPIC })).status, 200)
    SqliteJournal.prototype.commit = () => {
      throw new Error('database or disk is full')
    }
    const messages = [{ data: Buffer.from('x').toString('base64') }]
    const answer = call('POST', `${TOPIC}:publish`, { messages }).then(
      ({ status }) => status,
      () => 'none',
    )
    t.match(await failed.promise, { message: /disk is full/ })
    await new Promise(setImmediate)
    const first = await Promise.race([answer, sleep(200, 'none')])
    t.not(first, 200)
  },
)

t.test('after a death exactly the acknowledged writes are there', async (t) => {
  const server = open(t)
  await subscribed(server, [A, B])
  const ids = server.broker.publish(TOPIC, ['1', '2', '3'].map(body))
  await committed(server.broker)
  const [first] = takeLeases(server.broker)
  server.broker.queue(A).ack(first?.id ?? 0)
  await committed(server.broker)
  const { broker } = open(t, killed(server.file))
  t.same(
    takeLeases(broker).map(({ id }) => id),
    ids.slice(1),
  )
  t.same(
    takeLeases(broker, B).map(({ id }) => id),
    ids,
  )
})

t.test('attempts are remembered by a server that was killed', async (t) => {
  const server = open(t)
  await subscribed(server, [A, B])
  server.broker.publish(TOPIC, ['given back', 'worked on', 'just leased'].map(body))
  await committed(server.broker)
  const [back, long] = takeLeases(server.broker) as [Lease, Lease]
  for (let attempt = 1; attempt <= 2; attempt++) {
    const [lease] = attempt === 1 ? [back] : takeLeases(server.broker)
    server.broker.queue(A).modify(lease?.id ?? 0, attempt, 0)
  }
  // A client that extends its lease after a second of work has made an attempt.
  await sleep(1_100)
  server.broker.queue(A).modify(long.id, 1, 30)
  await committed(server.broker)
  const { broker } = open(t, killed(server.file))
  t.same(
    takeLeases(broker).map(({ attempt }) => attempt),
    [3, 2, 1],
  )
})

t.test('a server that is closed cleanly remembers its leases', async (t) => {
  const server = open(t)
  await subscribed(server, [A])
  server.broker.publish(TOPIC, [body('x')])
  takeLeases(server.broker)
  server.broker.close()
  const { broker } = open(t, killed(server.file))
  t.match(takeLeases(broker), [{ attempt: 2 }])
})

t.test(
  'a message goes to the dead-letter topic at its last attempt, counted across deaths',
  async (t) => {
    const server = open(t)
    const dead = 'projects/demo/topics/dead'
    server.broker.createTopic({ name: dead })
    server.broker.createSubscription({ name: B, topic: dead })
    const deadLetterPolicy = { deadLetterTopic: dead, maxDeliveryAttempts: 5 }
    await subscribed(server, [A], { deadLetterPolicy })
    server.broker.publish(TOPIC, [body('x')])
    await committed(server.broker)
    const giveBack = async ({ broker }: Server, attempt: number) => {
      const [lease] = takeLeases(broker)
      t.equal(lease?.attempt, attempt)
      broker.queue(A).modify(lease?.id ?? 0, attempt, 0)
      await committed(broker)
    }
    for (const attempt of [1, 2]) await giveBack(server, attempt)
    const next = open(t, killed(server.file))
    for (const attempt of [3, 4]) await giveBack(next, attempt)
    t.equal(takeLeases(next.broker, B).length, 0)
    await giveBack(next, 5)
    const last = open(t, killed(next.file))
    t.equal(takeLeases(last.broker, A).length, 0, 'and is there no more')
    t.equal(takeLeases(last.broker, B).length, 1)
  },
)

t.test(
  'a body is kept for as long as a subscription waits for it, and not longer',
  async (t) => {
    const server = open(t)
    const day = 86_400
    await subscribed(server, [A, B], { messageRetentionDuration: { seconds: day } })
    const bodies = (file: string) => {
      const db = new DatabaseSync(killed(file))
      try {
        return db.prepare('select count(*) as n from messages').get()?.n
      } finally {
        db.close()
      }
    }
    const { broker, file } = server
    broker.publish(TOPIC, ['1', '2'].map(body))
    await committed(broker)
    // Twice, as a client does that did not get the response.
    const leased = takeLeases(broker)
    for (const { id } of [...leased, ...leased]) broker.queue(A).ack(id)
    await committed(broker)
    t.equal(bodies(file), 2, 'the other one waits')
    const [one] = takeLeases(broker, B)
    broker.queue(B).ack(one?.id ?? 0)
    broker.queue(B).ack(one?.id ?? 0)
    await committed(broker)
    t.equal(bodies(file), 1)
    t.equal(takeLeases(open(t, killed(file)).broker, B).length, 1)

    // Expired messages are removed from one subscription after the other.
    const [again] = broker.publish(TOPIC, [body('3')])
    await committed(broker)
    const later = Date.now() + (day + 60) * 1000
    broker.queue(A).expire(later)
    await committed(broker)
    t.equal(bodies(file), 2)
    broker.queue(B).expire(later)
    await committed(broker)
    t.equal(bodies(file), 0)
    t.same(takeLeases(broker), [])
    t.ok((again ?? 0) > 0)

    // They are also removed with the subscription.
    broker.publish(TOPIC, [body('4')])
    broker.deleteSubscription(A)
    await committed(broker)
    t.equal(bodies(file), 1)
    broker.deleteSubscription(B)
    await committed(broker)
    t.equal(bodies(file), 0)
  },
)

t.test('messages in a snapshot are kept until it is removed or expires', async (t) => {
  const { broker, file } = open(t)
  await subscribed({ broker, file } as Server, [A, B])
  const [C, D] = ['projects/demo/snapshots/ccc', 'projects/demo/snapshots/ddd']
  const kept = () => {
    const db = new DatabaseSync(killed(file))
    try {
      const count = (table: string) => db.prepare(`select count(*) as n from ${table}`).get()?.n
      return { messages: count('messages'), deliveries: count('deliveries') }
    } finally {
      db.close()
    }
  }
  broker.publish(TOPIC, [body('1')])
  for (const name of [C, D]) broker.snapshots.create({ name, subscription: A })
  broker.publish(TOPIC, [body('2')])
  for (const name of [A, B])
    for (const { id } of takeLeases(broker, name)) broker.queue(name).ack(id)
  await committed(broker)
  t.same(kept(), { messages: 2, deliveries: 4 })
  broker.snapshots.remove(C)
  await committed(broker)
  t.same(kept(), { messages: 2, deliveries: 2 })
  broker.deleteSubscription(A)
  broker.deleteSubscription(B)
  broker.publish(TOPIC, [body('3')])
  await committed(broker)
  t.same(kept(), { messages: 3, deliveries: 3 }, 'also when there is no subscription left')
  broker.snapshots.expire(Date.now() + 7 * 86_400_000 - 60_000)
  t.equal(broker.snapshots.all().length, 1)
  broker.snapshots.expire(Date.now() + 7 * 86_400_000 + 60_000)
  broker.publish(TOPIC, [body('4')])
  await committed(broker)
  t.same(kept(), { messages: 0, deliveries: 0 })
  t.same(open(t, killed(file)).broker.snapshots.all(), [])
})

t.test('the older the waiting messages, the sooner a snapshot expires', async (t) => {
  const hour = 3_600_000
  const journal = new SqliteJournal(join(t.testdir(), 'old.sqlite'))
  journal.saveTopic({ name: TOPIC })
  const common = { topic: TOPIC, ackDeadlineSeconds: 10 }
  const messageRetentionDuration = { seconds: 31 * 86_400 }
  for (const [name, ageMs] of [
    [A, 100 * hour],
    [B, 168 * hour - 0.9 * hour],
  ] as const) {
    const key = journal.saveSubscription({ name, ...common, messageRetentionDuration })
    journal.add((Date.now() - ageMs) * 1000, body('old'), [key])
  }
  const broker = new Broker(journal, { onFatal: t.fail })
  t.teardown(() => {
    broker.close()
    journal.close()
  })
  const name = 'projects/demo/snapshots/old'
  t.throws(() => broker.snapshots.create({ name, subscription: B }), { code: 9 })
  const { expireTime } = broker.snapshots.create({ name, subscription: A })
  t.ok(Math.abs(expireTime.seconds * 1000 - Date.now() - 68 * hour) < 60_000)
})

t.test('a detached subscription stays detached, and receives nothing', async (t) => {
  const server = open(t)
  await subscribed(server, [A, B])
  server.broker.publish(TOPIC, [body('before')])
  server.broker.detachSubscription(A)
  await committed(server.broker)
  const { broker } = open(t, killed(server.file))
  broker.publish(TOPIC, [body('after')])
  t.match(broker.subscription(A), { topic: TOPIC, detached: true })
  t.throws(() => broker.queue(A), { code: 9, details: /detached/ })
  t.equal(takeLeases(broker, B).length, 2)
  broker.updateSubscription({ ...broker.subscription(A), labels: { a: 'b' } })
  t.match(broker.subscription(A), { labels: { a: 'b' }, detached: true })
  broker.deleteSubscription(A)
  broker.publish(TOPIC, [body('the other one is still there')])
  t.equal(takeLeases(broker, B).length, 1)
})
