import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { Wire } from '../../tools/bench/wires.ts'

const PROJECT = 'snapshots'

/** What a wire must do whose subscriptions can be taken back to a snapshot. */
export async function snapshotConformance(t: Test, wire: Wire): Promise<void> {
  const ask = asking(wire)

  await t.test(
    'a snapshot brings back what was acknowledged since, and nothing else',
    async (t) => {
      const [name, other] = [await made(ask), `other-${randomUUID()}`]
      await ask('PUT', `subscriptions/${other}`, { topic: topic(name) })
      await publish(ask, name, ['done', 'lent', 'waiting'])
      const lent = await pull(ask, name)
      await ack(ask, name, lent, ['done'])
      await ask('PUT', `snapshots/${name}`, { subscription: subscription(name) })
      await publish(ask, name, ['later'])
      await ack(ask, name, lent, ['lent', 'waiting'])
      await ack(ask, name, await pull(ask, name), ['later'])
      t.same(await pull(ask, name), new Map())
      t.equal(
        (await pull(ask, other)).size,
        4,
        'for the other one all of it is still to be done',
      )

      for (const each of [name, name, other]) {
        await ask('POST', `subscriptions/${each}:seek`, { snapshot: snapshot(name) })
        const again = await pull(ask, each)
        t.same([...again.keys()].sort(), ['later', 'lent', 'waiting'])
        await ack(ask, each, again, ['later', 'lent', 'waiting'])
      }
      await publish(ask, name, ['afterwards'])
      t.same([...(await pull(ask, name)).keys()], ['afterwards'])
      await ask('DELETE', `snapshots/${name}`)
    },
  )

  await t.test('a snapshot brings back what has been purged', async (t) => {
    const name = await made(ask)
    await publish(ask, name, ['before'])
    await ask('PUT', `snapshots/${name}`, { subscription: subscription(name) })
    await ask('POST', `subscriptions/${name}:seek`, { time: '2100-01-01T00:00:00Z' })
    t.same(await pull(ask, name), new Map())
    await ask('POST', `subscriptions/${name}:seek`, { snapshot: snapshot(name) })
    t.same([...(await pull(ask, name)).keys()], ['before'])
  })

  await t.test(
    'snapshots are listed and looked at, live for 7 days, and are removed',
    async (t) => {
      const name = await made(ask)
      const before = Date.now()
      const { body } = await ask('PUT', `snapshots/${name}`, {
        subscription: subscription(name),
      })
      t.match(body, { name: snapshot(name), topic: topic(name) })
      const life = Date.parse(body.expireTime) - before
      t.ok(Math.abs(life - 7 * 86_400_000) < 60_000, `${life} ms`)
      t.same((await ask('GET', `snapshots/${name}`)).body, body)
      const { snapshots } = (await ask('GET', 'snapshots')).body
      t.ok(snapshots.some((each: { name: string }) => each.name === snapshot(name)))
      t.same((await ask('GET', `topics/${name}/snapshots`)).body, {
        snapshots: [snapshot(name)],
      })
      await ask('DELETE', `subscriptions/${name}`)
      t.equal(
        (await ask('GET', `snapshots/${name}`)).status,
        200,
        'it outlives its subscription',
      )
      t.equal((await ask('DELETE', `snapshots/${name}`)).status, 200)
      t.equal((await ask('GET', `snapshots/${name}`)).status, 404)
    },
  )

  await t.test('what can not be is refused', async (t) => {
    const [name, foreign] = [await made(ask), await made(ask)]
    const asked = { subscription: subscription(name) }
    const seek = (of: string, to: string) =>
      ask('POST', `subscriptions/${of}:seek`, { snapshot: snapshot(to) })
    await ask('PUT', `snapshots/${name}`, asked)
    t.equal((await ask('PUT', `snapshots/${name}`, asked)).status, 409)
    t.equal((await ask('PUT', 'snapshots/1', asked)).status, 400)
    const none = { subscription: subscription('none') }
    t.equal((await ask('PUT', 'snapshots/none', none)).status, 404)
    t.equal((await ask('GET', 'snapshots/none')).status, 404)
    t.equal((await ask('DELETE', 'snapshots/none')).status, 404)
    t.equal((await seek(name, 'none')).status, 404)
    t.match(await seek(foreign, name), {
      status: 400,
      body: { error: { status: 'FAILED_PRECONDITION' } },
    })
  })

  await t.test(
    'a snapshot, what it holds and what it has brought back survive the death of the server',
    wire.killAndRestart ? {} : { skip: 'known fault: nothing is persisted' },
    async (t) => {
      const name = await made(ask)
      await publish(ask, name, ['one', 'two'])
      await ask('PUT', `snapshots/${name}`, { subscription: subscription(name) })
      await ack(ask, name, await pull(ask, name), ['one', 'two'])
      await wire.killAndRestart?.()
      await publish(ask, name, ['three'])
      await ack(ask, name, await pull(ask, name), ['three'])
      await ask('POST', `subscriptions/${name}:seek`, { snapshot: snapshot(name) })
      await wire.killAndRestart?.()
      t.same([...(await pull(ask, name)).keys()].sort(), ['one', 'three', 'two'])
    },
  )
}

const topic = (name: string) => `projects/${PROJECT}/topics/${name}`
const subscription = (name: string) => `projects/${PROJECT}/subscriptions/${name}`
const snapshot = (name: string) => `projects/${PROJECT}/snapshots/${name}`

type Ask = ReturnType<typeof asking>

function asking(wire: Wire) {
  return async (verb: string, path: string, body?: object) => {
    const response = await fetch(`http://${wire.endpoint}/v1/projects/${PROJECT}/${path}`, {
      method: verb,
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    // biome-ignore lint/suspicious/noExplicitAny: whatever comes is held against what should.
    return { status: response.status, body: (await response.json()) as any }
  }
}

/** A topic with a subscription of its name. */
async function made(ask: Ask): Promise<string> {
  const name = `news-${randomUUID()}`
  await ask('PUT', `topics/${name}`, {})
  await ask('PUT', `subscriptions/${name}`, { topic: topic(name) })
  return name
}

async function publish(ask: Ask, name: string, words: readonly string[]): Promise<void> {
  const messages = words.map((word) => ({ data: Buffer.from(word).toString('base64') }))
  await ask('POST', `topics/${name}:publish`, { messages })
}

/** All that is ready: its words, with the ids to acknowledge them by. */
async function pull(ask: Ask, name: string): Promise<Map<string, string>> {
  const lent = new Map<string, string>()
  for (;;) {
    const asked = { maxMessages: 10, returnImmediately: true }
    const { body } = await ask('POST', `subscriptions/${name}:pull`, asked)
    if (!body.receivedMessages) return lent
    for (const { ackId, message } of body.receivedMessages)
      lent.set(Buffer.from(message.data, 'base64').toString(), ackId)
  }
}

async function ack(
  ask: Ask,
  name: string,
  lent: ReadonlyMap<string, string>,
  words: readonly string[],
): Promise<void> {
  const ackIds = words.map((word) => lent.get(word))
  await ask('POST', `subscriptions/${name}:acknowledge`, { ackIds })
}
