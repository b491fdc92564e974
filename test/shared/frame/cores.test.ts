import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { OwnCores } from '#shared/frame/cores.ts'
import { lendCores } from '../../../tools/local/core-broker.ts'
import { freeCore } from '../../support/free-core.ts'
import { timeLimit } from '../../support/patience.ts'

const patient = () => timeLimit(60_000)

test('places are given in the order of asking, and given back once', async (t) => {
  const cores = new OwnCores(1)
  const first = await cores.take(patient())
  const order: number[] = []
  const waiting = [1, 2, 3].map(async (n) => {
    const leave = await cores.take(patient())
    order.push(n)
    return leave
  })
  t.equal(await freeCore(cores), undefined)
  first()
  first()
  for (const each of waiting) {
    const leave = await each
    t.equal(await freeCore(cores), undefined, 'a place that was handed on is not free')
    leave()
  }
  t.strictSame(order, [1, 2, 3])
  const last = await freeCore(cores)
  t.ok(last)
})

test('the more urgent lane goes first, then what has begun, then the later step', async (t) => {
  const cores = new OwnCores(1)
  const first = await cores.take(patient())
  const order: string[] = []
  const claims = {
    'backfill, begun': { lane: 'backfill', isBegun: true },
    'new stage': { rank: 1 },
    'new encode': { rank: 3 },
    'new stage, begun': { rank: 1, isBegun: true },
    'new encode too': { rank: 3 },
    urgent: { lane: 'urgent' },
  } as const
  const waiting = Object.entries(claims).map(async ([name, claim]) => {
    const leave = await cores.take(patient(), claim)
    order.push(name)
    leave()
  })
  first()
  await Promise.all(waiting)
  t.strictSame(order.slice(0, 1), ['urgent'])
  t.strictSame(
    order.filter((name) => name.startsWith('new')),
    ['new stage, begun', 'new encode', 'new encode too', 'new stage'],
  )
})

test('a core that urgent work gave back is kept for its next step, and not for long', async (t) => {
  const cores = new OwnCores(1)
  const urgent = { lane: 'urgent' } as const
  const order: string[] = []
  const first = await cores.take(patient(), urgent)
  const other = cores.take(patient()).then((leave) => {
    order.push('new')
    leave()
  })
  first()
  t.equal(await freeCore(cores), undefined, 'another lane waits')
  const next = await cores.take(patient(), urgent)
  order.push('urgent')
  next()
  await other
  t.same(order, ['urgent', 'new'])
})

test('a step that gives up waiting loses its turn, and no other does', async (t) => {
  const cores = new OwnCores(1)
  const first = await cores.take(patient())
  const hasty = new AbortController()
  const given = t.rejects(cores.take(hasty.signal), /no longer/)
  const second = cores.take(patient())
  hasty.abort(new Error('no longer'))
  await given
  first()
  const leave = await second
  await t.rejects(cores.take(hasty.signal), /no longer/, 'nor does it ask again')
  leave()
  t.ok(await freeCore(cores))
})

test('processes share the cores of their parent, and give back what they held when they die', async (t) => {
  const cores = new OwnCores(1)
  const began = Date.now()
  const cutOff: number[] = []
  const [one, two] = await Promise.all([borrower(), borrower()])
  t.teardown(() => [one, two].map((child) => child.kill('SIGKILL')))

  t.equal(await ask(one, 'take'), 'took')
  t.equal(await ask(two, 'give up'), 'gave up')
  const waits = ask(two, 'take')
  t.equal(await Promise.race([waits, sleep(300, 'waits')]), 'waits', 'a core is lent once')
  one.send('give')
  t.equal(await waits, 'took', 'a core that is given back goes to the step that waits')

  const again = ask(one, 'take')
  await sleep(100)
  two.kill('SIGKILL')
  t.equal(await again, 'took', 'so does the core of a process that died')
  one.send('take')
  one.kill('SIGKILL')
  await once(one, 'exit')
  const mine = await cores.take(patient())
  t.ok(mine, 'and the wish of one that died is forgotten')
  t.equal(
    cutOff.length,
    2,
    'what was lent to a process that died was cut off, and nothing else',
  )
  t.ok(cutOff.every((since) => since >= began && since <= Date.now()))

  async function borrower(): Promise<ChildProcess> {
    const child = forked()
    lendCores(cores, child, (since) => cutOff.push(since))
    await heard(child)
    return child
  }
})

test('a wish that a dead parent does not hear is no fault of the step that had it', async (t) => {
  const child = forked()
  t.teardown(() => child.kill('SIGKILL'))
  await heard(child)
  t.equal(await ask(child, 'outlive'), 'waits')
  const exited = once(child, 'exit')
  child.disconnect()
  child.stdin?.end()
  t.same(await exited, [0, null], 'nothing was thrown')
})

function forked(): ChildProcess {
  const script = new URL('../../support/processes/borrower.ts', import.meta.url)
  return fork(script, { execArgv: [], stdio: ['pipe', 'inherit', 'inherit', 'ipc'] })
}

function ask(child: ChildProcess, what: string): Promise<string> {
  child.send(what)
  return heard(child)
}

function heard(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on('message', function listen(message: { readonly said?: string }) {
      if (message.said === undefined) return
      child.off('message', listen)
      resolve(message.said)
    })
  })
}
