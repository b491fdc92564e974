import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { DEFAULT_ROUTE, ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { reservedFor } from '../../../tools/local/pubsub/api/reserved.ts'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'

const token = 'the-token-of-the-chain'
const PROJECT = 'demo'

/** A server with the topics of a chain, which are reserved, and functions that call it. */
async function reserved(t: Test) {
  const server = await startPubsubServer({
    ...{ port: 0, file: join(t.testdir(), 'queue.sqlite') },
    reserved: reservedFor(PROJECT, token),
  })
  const endpoint = `127.0.0.1:${server.port}`
  const own = pubsubBus({ projectId: PROJECT, endpoint, token })
  await own.ensure(topology([DEFAULT_ROUTE], ONE_MACHINE))
  t.teardown(async () => {
    await own.close()
    await server.close()
  })
  const ask = async (verb: string, path: string, body?: object, headers = {}) => {
    const response = await fetch(`http://${endpoint}/v1/projects/${PROJECT}/${path}`, {
      method: verb,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    // biome-ignore lint/suspicious/noExplicitAny: the tests check what the response is.
    return { status: response.status, body: (await response.json()) as any }
  }
  return { endpoint, own, ask, port: server.port }
}

const topic = (name: string) => `projects/${PROJECT}/topics/${name}`
const subscription = (name: string) => `projects/${PROJECT}/subscriptions/${name}`
const publishing = { messages: [{ data: 'eA==' }] }
const pulling = { maxMessages: 1, returnImmediately: true }

t.test(
  'a client without the token may submit jobs, receive announcements, and read',
  async (t) => {
    const { ask } = await reserved(t)
    const may: [string, string, object?][] = [
      ['POST', 'topics/ingest:publish', publishing],
      ['POST', 'subscriptions/published:pull', pulling],
      ['PUT', 'subscriptions/my-ear', { topic: topic('published') }],
      ['POST', 'subscriptions/my-ear:pull', pulling],
      ['POST', 'subscriptions/my-ear:acknowledge', { ackIds: ['1-1'] }],
      ['PUT', 'snapshots/my-mark', { subscription: subscription('my-ear') }],
      [
        'POST',
        'subscriptions/my-ear:seek',
        { snapshot: `projects/${PROJECT}/snapshots/my-mark` },
      ],
      ['DELETE', 'snapshots/my-mark'],
      ['POST', 'subscriptions/my-ear:detach'],
      ['DELETE', 'subscriptions/my-ear'],
      ['GET', 'topics'],
      ['GET', 'subscriptions/encode'],
      ['PUT', 'topics/mine', {}],
      ['PUT', 'subscriptions/mine', { topic: topic('mine') }],
      ['POST', 'topics/mine:publish', publishing],
      ['POST', 'subscriptions/mine:pull', pulling],
      ['DELETE', 'topics/mine'],
    ]
    for (const [verb, path, body] of may)
      t.equal((await ask(verb, path, body)).status, 200, `${verb} ${path}`)
  },
)

t.test("what is between the chain's services takes their token", async (t) => {
  const { ask } = await reserved(t)
  await ask('PUT', 'topics/mine', {})
  await ask('PUT', 'subscriptions/mine', { topic: topic('mine') })
  const authorization = `Bearer ${token}`
  const kept = { subscription: subscription('encode') }
  t.equal((await ask('PUT', 'snapshots/own', kept, { authorization })).status, 200)
  const letters = { deadLetterPolicy: { deadLetterTopic: topic('publish') } }
  const mayNot: [string, string, object?][] = [
    ...['stage', 'analyze', 'encode', 'publish', 'events', 'published', 'dead-letter'].map(
      (name): [string, string, object] => ['POST', `topics/${name}:publish`, publishing],
    ),
    ...['ingest', 'stage', 'publish', 'events', 'dead-letter'].flatMap(
      (name): [string, string, object][] => [
        ['POST', `subscriptions/${name}:pull`, pulling],
        ['POST', `subscriptions/${name}:acknowledge`, { ackIds: ['1-1'] }],
        ['PUT', `subscriptions/spy-${name}`, { topic: topic(name) }],
      ],
    ),
    ['POST', 'subscriptions/encode:modifyAckDeadline', { ackIds: ['1-1'] }],
    ['POST', 'subscriptions/encode:seek', { time: '2099-01-01T00:00:00Z' }],
    ['POST', 'subscriptions/published:seek', { time: '2099-01-01T00:00:00Z' }],
    ['POST', 'subscriptions/published:detach'],
    ['PUT', 'snapshots/spy', { subscription: subscription('encode') }],
    ['PUT', 'snapshots/spy', { subscription: subscription('published') }],
    ['PATCH', 'snapshots/own', { snapshot: { labels: { a: 'b' } }, updateMask: 'labels' }],
    ['DELETE', 'snapshots/own'],
    ['DELETE', 'subscriptions/published'],
    ['DELETE', 'topics/ingest'],
    [
      ...(['PATCH', 'subscriptions/published'] as const),
      { subscription: { ackDeadlineSeconds: 600 }, updateMask: 'ackDeadlineSeconds' },
    ],
    ['PATCH', 'topics/ingest', { topic: { labels: { a: 'b' } }, updateMask: 'labels' }],
    // By a dead-letter policy anything could be published anywhere.
    ['PUT', 'subscriptions/way', { topic: topic('mine'), ...letters }],
    [
      ...(['PATCH', 'subscriptions/mine'] as const),
      { subscription: letters, updateMask: 'deadLetterPolicy' },
    ],
  ]
  for (const [verb, path, body] of mayNot) {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: token }])
      t.match(
        await ask(verb, path, body, headers),
        { status: 403, body: { error: { status: 'PERMISSION_DENIED', message: /ingest/ } } },
        `${verb} ${path}`,
      )
  }
  t.equal(
    (await ask('POST', 'topics/publish:publish', publishing, { authorization })).status,
    200,
  )
})

t.test("Google's client has the same doors", async (t) => {
  const { endpoint, own } = await reserved(t)
  const message = { data: Buffer.from('x'), attributes: {} }
  const stranger = pubsubBus({ projectId: PROJECT, endpoint })
  t.teardown(() => stranger.close())
  t.match(await stranger.publish('ingest', message), /^\d+$/)
  await t.rejects(stranger.publish('publish', message), { code: 7 })
  const refused = Promise.withResolvers<Error>()
  const listening = { concurrency: 1, longestMs: 1000 }
  const spy = stranger.subscribe(
    'ingest',
    { ...listening, onError: refused.resolve },
    async () => 'ack',
  )
  t.match(await refused.promise, { code: 7 })
  await spy.close()
  const got = Promise.withResolvers<string>()
  const ear = own.subscribe(
    'ingest',
    { ...listening, onError: got.reject },
    async ({ data }) => {
      got.resolve(data.toString())
      return 'ack'
    },
  )
  t.equal(await got.promise, 'x', 'with the token it is received')
  await ear.close()
})

t.test(
  'pages of other sites are refused, and so are bodies that are not declared as JSON',
  async (t) => {
    const { ask, endpoint, port } = await reserved(t)
    const path = 'topics/ingest:publish'
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
    ])
      t.match(await ask('POST', path, publishing, headers), { status: 403 })
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
    ])
      t.match(await ask('POST', path, publishing, { 'content-type': type }), {
        status: 400,
        body: { error: { message: /application\/json/ } },
      })
    const { request } = await import('node:http')
    const status = await new Promise((resolve, reject) => {
      const rebound = { host: '127.0.0.1', port, headers: { host: `evil.example:${port}` } }
      request({ ...rebound, path: `/v1/projects/${PROJECT}/topics` }, ({ statusCode }) =>
        resolve(statusCode),
      )
        .on('error', reject)
        .end()
    })
    t.equal(status, 403)
    const listed = await fetch(`http://${endpoint}/v1/projects/${PROJECT}/topics`)
    t.equal(listed.headers.get('access-control-allow-origin'), null)
  },
)
