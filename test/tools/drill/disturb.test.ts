import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Bus } from '#shared/bus/bus.ts'
import { disturb, type Victim } from '../../../tools/drill/disturb.ts'
import type { Act } from '../../../tools/drill/schedule.ts'
import { timeLimit } from '../../support/patience.ts'

const order = ['one', 'two', 'three']

/** Three processes that do nothing, and a bus that records what is published. */
function chain(t: Test) {
  const children: Record<string, ChildProcess> = Object.fromEntries(
    order.map((name) => [name, spawn('sleep', ['600'], { stdio: 'ignore' })]),
  )
  t.teardown(() => Object.values(children).map((child) => child.kill('SIGKILL')))
  const isUp = ({ exitCode, signalCode }: ChildProcess) => !exitCode && !signalCode
  const pids = () =>
    Object.fromEntries(
      Object.entries(children).flatMap(([name, child]) =>
        isUp(child) ? [[name, child.pid as number]] : [],
      ),
    )
  const published: string[] = []
  const bus = {
    publish: async (topic: string, { data }: { data: Buffer }) => {
      published.push(`${topic} ${data}`)
      return 'id'
    },
  } as unknown as Bus
  const victim: Victim = {
    chain: { pids, down: () => [] },
    ...{ bus, seed: 1, signal: timeLimit(60_000) },
    captured: () => ['a', 'b', 'c'].map((text) => ({ topic: 'encode', ...message(text) })),
    isAtWork: () => true,
    onKill: () => {},
  }
  return { children, victim, published }
}

t.test('the first running process is killed, or all of them', async (t) => {
  const { children, victim } = chain(t)
  const deaths = Object.values(children).map((child) => once(child, 'exit'))
  const kills: number[] = []
  const act: Act = { afterMs: 1, kind: 'kill', order: ['none', ...order] }
  const onKill = (count: number) => kills.push(count)
  const first = await disturb([act], { ...victim, onKill })
  t.same(await deaths[0], [null, 'SIGKILL'])
  t.match(first, { done: { kill: 1 }, atWork: 1, killed: 1, copied: 0 })
  const isAtWork = () => false
  const all = await disturb([{ ...act, all: true }], { ...victim, onKill, isAtWork })
  t.same(await deaths[2], [null, 'SIGKILL'])
  t.match(all, { done: { kill: 1 }, atWork: 0, killed: 2 })
  t.same(kills, [1, 1])
})

t.test('one process gets SIGTERM; one is stopped, and continued', async (t) => {
  const { children, victim } = chain(t)
  const death = once(children.one as ChildProcess, 'exit')
  const pid = children.two?.pid as number
  const acts: Act[] = [
    { afterMs: 1, kind: 'term', order },
    { afterMs: 1, kind: 'stop', order: ['two'], stopMs: 500 },
    { afterMs: 100, kind: 'kill', order: ['three'] },
  ]
  const { done, stopped } = await disturb(acts, victim)
  t.same(await death, [null, 'SIGTERM'])
  t.not(stateOf(pid), 'T', 'when all is done it runs')
  t.match(done, { term: 1, stop: 1, kill: 1 })
  t.match(stopped, [{ pid }])
  t.ok((stopped[0]?.to ?? 0) - (stopped[0]?.from ?? 0) >= 450)
})

t.test('the requested number of messages is published again, some of them twice', async (t) => {
  const { victim, published } = chain(t)
  const act: Act = { afterMs: 1, kind: 'copies', order: [], copies: 2 }
  const { copied } = await disturb([act, act, act], victim)
  t.equal(published.length, copied)
  t.ok(copied > 6, 'some twice')
  t.ok(published.every((text) => /^encode [abc]$/.test(text)))
})

t.test('nothing happens while most of the chain is down, and an abort ends it', async (t) => {
  const { children, victim } = chain(t)
  let looks = 0
  const down = () => (looks++ < 5 ? ['x', 'y', 'z'] : [])
  const act: Act = { afterMs: 1, kind: 'kill', order }
  await disturb([act], { ...victim, chain: { ...victim.chain, down } })
  t.ok(looks > 5)
  const ending = new AbortController()
  const stop: Act = { afterMs: 1, kind: 'stop', order: ['three'], stopMs: 60_000 }
  const endless: Act = { afterMs: 60_000, kind: 'kill', order }
  const disturbing = disturb([stop, endless], { ...victim, signal: ending.signal })
  const pid = children.three?.pid as number
  while (stateOf(pid) !== 'T') await new Promise((resolve) => setTimeout(resolve, 20))
  ending.abort(new Error('enough'))
  await t.rejects(disturbing, /enough|aborted/)
  t.not(stateOf(pid), 'T', 'what was stopped goes on')
})

function message(text: string) {
  return { data: Buffer.from(text), attributes: {} }
}

/** The state of a process by Linux: `T` is stopped. */
function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
}
