import t from 'tap'
import type {
  Bus,
  Delivery,
  Settlement,
  SubscribeOptions,
  Subscriber,
} from '#shared/bus/bus.ts'
import { type Held, type Stream, StreamSubscriber } from '#shared/bus/subscriber.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { Breaker } from '#shared/frame/upstreams/breaker.ts'
import { watchedBus } from '#shared/frame/upstreams/watched-bus.ts'
import { lull, until } from '../../support/patience.ts'

// What a subscriber owes to each message, and a bus to its breaker, whatever the link does.

/** A stream that is opened by the subscriber and fed by the test. */
class FakeStream implements Stream {
  readonly listeners = new Map<string, (value: never) => void>()
  isClosed = false
  readonly closing = Promise.withResolvers<void>()
  on(event: string, listener: (value: never) => void) {
    this.listeners.set(event, listener)
  }
  async close() {
    this.isClosed = true
    await this.closing.promise
  }
  emit(event: string, value: unknown) {
    this.listeners.get(event)?.(value as never)
  }
}

function bench(concurrency = 1) {
  const streams: FakeStream[] = []
  const settled: string[] = []
  const errors: string[] = []
  const begun: Delivery[] = []
  const gates = new Map<string, (settlement: Settlement | Error) => void>()
  const subscriber = new StreamSubscriber(
    () => {
      const stream = new FakeStream()
      streams.push(stream)
      return stream as Stream
    },
    { concurrency, longestMs: 1000, onError: ({ message }) => errors.push(message) },
    (delivery) => {
      begun.push(delivery)
      return new Promise((resolve, reject) => {
        gates.set(delivery.id, (how) => (how instanceof Error ? reject(how) : resolve(how)))
      })
    },
  )
  const message = (id: string, deliveryAttempt = 1): Held => ({
    ...{ id, data: Buffer.from(id), attributes: {}, deliveryAttempt, publishTime: new Date() },
    ack: () => settled.push(`ack ${id}`),
    nack: () => settled.push(`nack ${id}`),
  })
  const last = () => streams.at(-1) as FakeStream
  const finish = async (id: string, how: Settlement | Error) => {
    gates.get(id)?.(how)
    await new Promise(setImmediate)
  }
  return { streams, settled, errors, begun, subscriber, message, last, finish }
}

t.test(
  'each message is settled as its handler says, and given back when that throws',
  async (t) => {
    const { last, message, finish, settled, begun, errors } = bench(3)
    for (const id of ['a', 'b', 'c']) last().emit('message', message(id, id === 'a' ? 0 : 7))
    t.same(settled, [], 'not before it is done')
    await finish('a', 'ack')
    await finish('b', 'nack')
    await finish('c', new Error('a fault'))
    t.same(settled, ['ack a', 'nack b', 'nack c'])
    t.same(errors, ['a fault'])
    t.same(
      begun.map(({ attempt }) => attempt),
      [1, 7, 7],
      'where attempts are not counted it is the first',
    )
  },
)

t.test(
  'paused, it gives back what has not begun, and what runs is still settled',
  async (t) => {
    const { subscriber, streams, last, message, finish, settled, begun } = bench(1)
    const [first] = streams
    for (const id of ['a', 'b', 'c']) last().emit('message', message(id))
    subscriber.pause()
    t.same(settled, ['nack b', 'nack c'])
    t.equal(first?.isClosed, true)
    first?.emit('message', message('late'))
    t.same(settled.at(-1), 'nack late', 'what the library had in hand as well')
    await finish('a', 'ack')
    t.equal(settled.at(-1), 'ack a')
    t.equal(begun.length, 1)
    subscriber.resume()
    subscriber.resume()
    t.equal(streams.length, 2, 'one stream, however often')
  },
)

t.test('closed, it waits for the acks, and never opens again', async (t) => {
  const { subscriber, streams, last } = bench(1)
  const stream = last()
  let isClosed = false
  const closing = subscriber.close().then(() => {
    isClosed = true
  })
  await new Promise(setImmediate)
  t.equal(isClosed, false)
  stream.closing.resolve()
  await closing
  subscriber.resume()
  t.equal(streams.length, 1)
})

t.test(
  'a stream that the library has given up is opened anew, until it is closed',
  async (t) => {
    const { subscriber, streams, last, errors, message, settled } = bench(1)
    const [first] = streams
    last().emit('error', new Error('no such subscription'))
    await until(() => streams.length === 2)
    t.same(errors, ['no such subscription'])
    first?.emit('error', new Error('late'))
    last().emit('message', message('a'))
    t.same(settled, [], 'the new one is heard')
    await lull(400)
    t.equal(streams.length, 2, 'an old one has nothing to say')
    last().emit('error', new Error('again'))
    subscriber.pause()
    await lull(400)
    t.equal(streams.length, 2, 'nor is it opened while it is paused')
  },
)

t.test(
  'faults of Pub/Sub pause every subscriber of the bus, and its answers do not',
  async (t) => {
    const alive = setInterval(() => {}, 1000)
    t.teardown(() => clearInterval(alive))
    const stopping = new AbortController().signal
    const breaker = new Breaker({
      ...{ log: createLog('link', 'silent'), metrics: createMetrics('link'), stopping },
    })
    let fault: Error | undefined
    let isUp = true
    const paused: boolean[] = []
    let used: SubscribeOptions | undefined
    const bus: Bus = {
      async publish() {
        if (fault) throw fault
        return 'id'
      },
      subscribe(_, options) {
        used = options
        const at = paused.push(false) - 1
        const subscriber: Subscriber = {
          close: async () => {},
          pause: () => {
            paused[at] = true
          },
          resume: () => {
            paused[at] = false
          },
          heard: new Date(),
        }
        return subscriber
      },
      async ping() {
        if (!isUp) throw new Error('no answer')
      },
      close: async () => {},
    }
    const watched = watchedBus(bus, breaker)
    const errors: string[] = []
    const options: SubscribeOptions = {
      ...{ concurrency: 1, longestMs: 1, onError: ({ message }) => errors.push(message) },
    }
    const message = { data: Buffer.from('x'), attributes: {} }
    watched.subscribe('stage', options, async () => 'ack')
    isUp = false
    fault = Object.assign(new Error('too large'), { code: 3 })
    for (let n = 0; n < 6; n++) await t.rejects(watched.publish('stage', message), /too large/)
    t.equal(
      await breaker.isSuspect(),
      false,
      'a message that is refused is no other one’s fault',
    )
    fault = new Error('unavailable')
    await t.rejects(watched.publish('stage', message), /unavailable/)
    t.equal(await breaker.isSuspect(), true)
    watched.subscribe('analyze', options, async () => 'ack')
    t.same(paused, [true, true], 'one that is made meanwhile as well')
    isUp = true
    fault = undefined
    await until(() => breaker.reason === undefined)
    t.same(paused, [false, false])
    isUp = false
    used?.onError(new Error('the link is down'))
    t.same(errors, ['the link is down'])
    t.equal(await breaker.isSuspect(), true)
    t.match(breaker.reason, /the link is down/)
  },
)
