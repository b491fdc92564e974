import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Subscriber } from '#shared/bus/bus.ts'
import { StoreError } from '#shared/contracts/errors/store.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { Breaker } from '#shared/frame/upstreams/breaker.ts'
import { watched } from '#shared/frame/upstreams/watched-store.ts'
import { counting, noCounts } from '#shared/store/counting.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { lull, patient, until } from '../../support/patience.ts'

// What waits for an upstream keeps no process alive.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

/** A breaker, one upstream of it whose probes answer as set, and what became of a subscriber. */
function made() {
  const stopping = new AbortController()
  const metrics = createMetrics('test')
  const breaker = new Breaker({
    ...{ log: createLog('breaker', 'fatal'), metrics },
    stopping: stopping.signal,
  })
  const upstream = breaker.upstream('the store')
  const seen = { probes: 0, isPaused: false }
  const subscriber: Subscriber = {
    close: async () => {},
    pause: () => {
      seen.isPaused = true
    },
    resume: () => {
      seen.isPaused = false
    },
    heard: new Date(),
  }
  breaker.guard(subscriber)
  let answer: () => Promise<unknown> = async () => {}
  const probe = () => {
    seen.probes++
    return answer()
  }
  const bad = () => upstream.call(() => Promise.reject(new Error('503')), { probe })
  return {
    ...{ breaker, upstream, metrics, stopping, seen, probe },
    answers: (how: () => Promise<unknown>) => {
      answer = how
    },
    /** An operation that fails, and the probe that follows. */
    async fail() {
      await bad().catch(() => {})
      await breaker.isSuspect()
    },
    succeed: () => upstream.call(async () => {}, { probe }),
  }
}

t.test('one fault of a well upstream pauses nothing, nor does one now and then', async (t) => {
  const { breaker, seen, fail, succeed } = made()
  for (let n = 0; n < 10; n++) {
    await fail()
    t.equal(seen.isPaused, false)
    await succeed()
  }
  t.equal(seen.probes, 10)
  t.equal(await breaker.isSuspect(), false)
})

t.test('a fault and a probe that fails pause all until a probe goes well', async (t) => {
  const { breaker, metrics, seen, fail, answers } = made()
  answers(() => Promise.reject(new Error('503 to a probe')))
  await fail()
  t.match(breaker.reason, /^the store: 503/)
  t.equal(seen.isPaused, true)
  t.equal(await breaker.isSuspect(), true)
  t.match(await metrics.expose(), /trackchain_upstreams_down\{.*upstream="the store".*\} 1/)
  await until(() => seen.probes >= 3)
  t.match(breaker.reason, 'the store: 503 to a probe')
  answers(async () => {})
  await until(() => breaker.reason === undefined)
  t.equal(seen.isPaused, false)
  t.equal(
    await breaker.isSuspect(),
    true,
    'an upstream that has just come back is not trusted yet',
  )
  t.match(await metrics.expose(), /trackchain_upstreams_down\{.*upstream="the store".*\} 0/)
})

t.test('when nothing goes well, a good probe is not enough; then work is tried', async (t) => {
  const { breaker, seen, fail } = made()
  for (let n = 0; n < 4; n++) await fail()
  t.equal(breaker.reason, undefined)
  await fail()
  t.match(breaker.reason, /503/)
  await until(() => breaker.reason === undefined)
  t.equal(seen.isPaused, false)
  await fail()
  t.match(breaker.reason, /503/, 'on trial, one more fault will do')
})

/** Lets time pass, as far as the breaker can tell. */
function passing(t: { teardown(end: () => unknown): void }): (ms: number) => void {
  const now = performance.now.bind(performance)
  let passed = 0
  performance.now = () => now() + passed
  t.teardown(() => {
    performance.now = now
  })
  return (ms) => {
    passed += ms
  }
}

t.test('a subscriber that is made while an upstream is down does not pull', async (t) => {
  const { breaker, fail, answers } = made()
  const seen: string[] = []
  const subscriber: Subscriber = {
    close: async () => {},
    pause: () => seen.push('pause'),
    resume: () => seen.push('resume'),
    heard: new Date(),
  }
  answers(() => Promise.reject(new Error('down')))
  await fail()
  t.equal(breaker.guard(subscriber), subscriber)
  t.same(seen, ['pause'])
  answers(async () => {})
  await until(() => breaker.reason === undefined)
  t.same(seen, ['pause', 'resume'])
})

t.test('what hung for half of its time before it was cut short is a fault', async (t) => {
  const { breaker, upstream, probe, seen } = made()
  const signal = AbortSignal.abort(new Error('the step is over'))
  const operation = { probe, signal, limitMs: 10_000 }
  upstream.failed(new Error('cut'), operation, performance.now() - 4_000)
  t.equal(seen.probes, 0)
  upstream.failed(new Error('cut'), operation, performance.now() - 6_000)
  await breaker.isSuspect()
  t.equal(seen.probes, 1)
})

t.test('faults that lie a minute apart are not in a row', async (t) => {
  const pass = passing(t)
  const { breaker, fail } = made()
  for (let n = 0; n < 10; n++) {
    await fail()
    pass(61_000)
  }
  t.equal(breaker.reason, undefined)
  for (let n = 0; n < 4; n++) await fail()
  t.equal(breaker.reason, undefined)
  pass(59_000)
  await fail()
  t.match(breaker.reason, /503/)
})

t.test('an upstream that has come back is suspect for one minute', async (t) => {
  const pass = passing(t)
  const { breaker, fail, answers } = made()
  answers(() => Promise.reject(new Error('down')))
  await fail()
  answers(async () => {})
  await until(() => breaker.reason === undefined)
  pass(59_000)
  t.equal(await breaker.isSuspect(), true)
  pass(1_500)
  t.equal(await breaker.isSuspect(), false)
})

t.test('whether an upstream is suspect is known once the running probe is over', async (t) => {
  const { breaker, upstream, probe, answers } = made()
  const { promise, reject } = Promise.withResolvers<void>()
  answers(() => promise)
  for (let n = 0; n < 3; n++)
    await upstream.call(() => Promise.reject(new Error('503')), { probe }).catch(() => {})
  const doubt = breaker.isSuspect()
  reject(new Error('down'))
  t.equal(await doubt, true)
})

t.test('an upstream is down once, however many of its operations fail', async (t) => {
  const { breaker, metrics, upstream, probe, answers, seen } = made()
  answers(() => Promise.reject(new Error('down')))
  await Promise.all(
    Array.from({ length: 9 }, () =>
      upstream.call(() => Promise.reject(new Error('503')), { probe }).catch(() => {}),
    ),
  )
  await breaker.isSuspect()
  t.equal(seen.probes, 1)
  t.match(await metrics.expose(), /trackchain_upstreams_down\{.*upstream="the store".*\} 1/)
  answers(async () => {})
  await until(() => breaker.reason === undefined)
  t.match(await metrics.expose(), /trackchain_upstreams_down\{.*upstream="the store".*\} 0/)
})

t.test('probes are longer and longer apart, and after a good while short again', async (t) => {
  const pass = passing(t)
  const { breaker, seen, fail, answers } = made()
  answers(() => Promise.reject(new Error('down')))
  await fail()
  await until(() => seen.probes >= 4)
  answers(async () => {})
  await until(() => breaker.reason === undefined)
  pass(61_000)
  answers(() => Promise.reject(new Error('down')))
  await fail()
  const { probes } = seen
  const first = until(() => seen.probes > probes, 60_000, 1)
  // Without it the next probe would be up to eight seconds away.
  t.not(await Promise.race([first, sleep(patient(1_900), 'late')]), 'late')
  answers(async () => {})
  await until(() => breaker.reason === undefined)
})

t.test('what goes well of one kind says nothing of another', async (t) => {
  const { breaker, upstream, probe } = made()
  for (let n = 0; n < 5; n++) {
    await upstream
      .call(() => Promise.reject(new Error('full')), { probe, kind: 'write' })
      .catch(() => {})
    await upstream.call(async () => {}, { probe, kind: 'read' })
    await breaker.isSuspect()
  }
  t.match(breaker.reason, /full/)
})

t.test('an answer is no fault, nor is what was cut short by its caller', async (t) => {
  const { breaker, upstream, probe, seen } = made()
  const cut = AbortSignal.abort(new Error('over'))
  for (let n = 0; n < 6; n++) {
    for (const more of [{ isExpected: () => true }, { signal: cut, limitMs: 1000 }]) {
      const act = () => Promise.reject(new Error('not there'))
      await t.rejects(upstream.call(act, { probe, ...more }), /not there/)
    }
  }
  t.equal(await breaker.isSuspect(), false)
  t.equal(seen.probes, 0)
})

t.test('what never ends has failed, and a probe that hangs is not repeated', async (t) => {
  const { breaker, upstream, probe, seen, answers } = made()
  const { promise, resolve } = Promise.withResolvers<void>()
  answers(() => promise)
  const hangs = upstream.call(() => promise, { probe, limitMs: 50 })
  await t.rejects(hangs, { message: 'the store has not answered for 0.05 s' })
  t.equal(await breaker.isSuspect(), true)
  t.equal(breaker.reason, 'the store: the store has not answered for 0.05 s')
  await lull(1000)
  t.equal(seen.probes, 1)
  resolve()
  await until(() => breaker.reason === undefined)
})

t.test('nothing is resumed once the process has to stop', async (t) => {
  const { seen, fail, answers, stopping } = made()
  answers(() => Promise.reject(new Error('down')))
  await fail()
  t.equal(seen.isPaused, true)
  stopping.abort()
  answers(async () => {})
  await lull(1500)
  t.equal(seen.isPaused, true)
})

t.test('of several that are down, the last one resumes', async (t) => {
  const { breaker, seen, fail, answers } = made()
  const other = breaker.upstream('another')
  let isUp = false
  const probe = async () => {
    if (!isUp) throw new Error('down too')
  }
  answers(() => Promise.reject(new Error('down')))
  await fail()
  await other.call(probe, { probe }).catch(() => {})
  await breaker.isSuspect()
  answers(async () => {})
  await until(() => breaker.reason?.startsWith('another') === true)
  t.equal(seen.isPaused, true)
  isUp = true
  await until(() => breaker.reason === undefined)
  t.equal(seen.isPaused, false)
})

t.test('of a store, every operation is watched', async (t) => {
  const name = 'x' as ObjectName
  const operations: readonly ((store: StoreDriver) => Promise<unknown>)[] = [
    (store) => store.stat(name),
    (store) => store.read(name),
    (store) => store.readInto?.(name, new Uint8Array(1), { start: 0 }) ?? Promise.resolve(),
    (store) => store.create(name, new Uint8Array(1), { contentType: 'text/plain' }),
    (store) => store.remove(name),
    (store) => Array.fromAsync(store.list('x/')),
    (store) => store.removeAll('x/'),
  ]
  for (const operation of operations) {
    const { breaker, upstream } = made()
    await t.rejects(operation(watched(brokenStore(), upstream)), /EIO/)
    await breaker.isSuspect()
    t.match(breaker.reason, /EIO/, `${operation}`)
  }
  const { breaker, upstream } = made()
  const absent = brokenStore(new StoreError('not-found', 'there is no x'))
  await t.rejects(watched(absent, upstream).read(name), /there is no x/)
  t.equal(await breaker.isSuspect(), false)
  const closed = brokenStore(Object.assign(new Error('EACCES'), { code: 'EACCES' }))
  await t.rejects(watched(closed, upstream, { isOneOfMany: true }).stat(name), /EACCES/)
  t.equal(await breaker.isSuspect(), false, 'others may be open')
  await t.rejects(watched(closed, upstream).stat(name), /EACCES/)
  t.equal(await breaker.isSuspect(), true)
})

t.test('after a write that failed, only a write shows that a store is well', async (t) => {
  const { breaker, upstream } = made()
  const full = new Error('ENOSPC')
  let isFull = true
  const driver: StoreDriver = {
    ...brokenStore(full),
    stat: async () => undefined,
    async probe() {
      if (isFull) throw full
    },
  }
  const store = watched(driver, upstream)
  const contentType = 'text/plain'
  await t.rejects(store.create('x' as ObjectName, new Uint8Array(1), { contentType }), full)
  await breaker.isSuspect()
  t.match(breaker.reason, /ENOSPC/, 'that it can be read is no comfort')
  isFull = false
  await until(() => breaker.reason === undefined)
  t.equal(breaker.reason, undefined)
})

t.test('a read that falls silent in the middle fails, and counts as a fault', async (t) => {
  const { breaker, upstream } = made()
  const silent = () => {
    let asked = 0
    return new Readable({
      read() {
        if (asked++ === 0) this.push(Buffer.alloc(10))
      },
    })
  }
  const driver = { ...brokenStore(), stat: async () => undefined, read: async () => silent() }
  const store = watched(driver, upstream, { silentMs: 100 })
  for (let n = 0; n < 5; n++) {
    const stream = await store.read('x' as ObjectName)
    await t.rejects(stream.toArray(), { message: 'a read has not answered for 0.1 s' })
    await breaker.isSuspect()
  }
  t.match(breaker.reason, /a read has not answered/)
})

t.test('a read that is opened too late is closed, whatever becomes of it', async (t) => {
  const { upstream } = made()
  const late = new Readable({ read() {} })
  const driver = { ...brokenStore(), read: () => sleep(200, late) }
  const store = watched(driver, upstream, { silentMs: 50 })
  await t.rejects(store.read('x' as ObjectName), /has not answered/)
  await until(() => late.destroyed)
  late.emit('error', new Error('nobody hears it, and nobody has to'))
})

t.test('of what is listed and not wanted to its end the rest is let go', async (t) => {
  const { upstream } = made()
  let isClosed = false
  async function* list() {
    try {
      for (;;) yield { name: 'x' as ObjectName, bytes: 1, revision: 'r', modified: new Date() }
    } finally {
      isClosed = true
    }
  }
  const driver = { ...brokenStore(), list: list as unknown as StoreDriver['list'] }
  for await (const _ of counting(watched(driver, upstream), noCounts()).list('')) break
  await until(() => isClosed)
  t.ok(isClosed)
})

function brokenStore(error: Error = new Error('EIO')): StoreDriver {
  const fail = async (): Promise<never> => {
    throw error
  }
  return {
    crossesWan: false,
    ...{ stat: fail, read: fail, readInto: fail, create: fail, remove: fail, removeAll: fail },
    // biome-ignore lint/correctness/useYield: it fails before it has any
    async *list() {
      throw error
    },
    uri: (name) => `file:///${name}`,
  }
}
