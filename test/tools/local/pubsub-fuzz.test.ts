import { connect } from 'node:net'
import { join } from 'node:path'
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { pubsubMethods } from '../../../tools/local/pubsub/api/protos.ts'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { patient } from '../../support/patience.ts'

const METHODS = pubsubMethods()
const NAMES = ['topics/news', 'subscriptions/news', 'topics/none', 'subscriptions/none']
const VERBS = [
  ...['GET /', 'PUT /', 'PATCH /', 'POST /:publish', 'POST /:pull', 'POST /:acknowledge'],
  ...['POST /:modifyAckDeadline', 'POST /:seek', 'POST /:detach', 'POST /'],
]
const JSON_TYPE = { 'content-type': 'application/json' }
/** Pulls that may wait would take 5 seconds each. */
const IMPATIENT = { returnImmediately: true }

async function served(t: Test) {
  const server = await startPubsubServer({ port: 0, file: join(t.testdir(), 'queue.sqlite') })
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${server.port}/v1/projects/demo/`
  const ask = (method: string, path: string, body: string | Buffer) =>
    fetch(url + path, { method, headers: JSON_TYPE, ...(method === 'GET' ? {} : { body }) })
  await ask('PUT', 'topics/news', '{}')
  await ask('PUT', 'subscriptions/news', '{"topic":"projects/demo/topics/news"}')
  return { ...server, ask }
}

/** Checks that the server still works. */
async function works(t: Test, { ask }: Awaited<ReturnType<typeof served>>): Promise<void> {
  await ask('PUT', 'topics/after', '{}')
  await ask('PUT', 'subscriptions/after', '{"topic":"projects/demo/topics/after"}')
  await ask('POST', 'topics/after:publish', '{"messages":[{"data":"YWZ0ZXI="}]}')
  const pulled = await ask('POST', 'subscriptions/after:pull', '{"maxMessages":1}')
  t.match(await pulled.json(), { receivedMessages: [{ message: { data: 'YWZ0ZXI=' } }] })
}

/** A field that the server knows, with any value. */
const field = fc.tuple(
  fc.constantFrom(
    ...new Set(METHODS.flatMap(({ request }) => request.fieldsArray.map(({ name }) => name))),
    ...['data', 'attributes', 'orderingKey', 'publishTime', 'ttl', 'paths', '__proto__'],
  ),
  fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom('1e99s', '-1s', 'projects/demo/topics/news', '0001-01-01T00:00:00Z'),
    fc.constantFrom(-1, 1e308, 2 ** 53, 0.5, {}, [], [null], [{}], null),
    fc.record({ name: fc.constantFrom(...NAMES), topic: fc.jsonValue() }),
  ),
)
const body = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(field, { maxLength: 6 })
      .map((all) => JSON.stringify({ ...IMPATIENT, ...Object.fromEntries(all) })),
  },
  { weight: 1, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.string() },
)

t.test('REST: any body gets a proper status, and the server survives', async (t) => {
  const server = await served(t)
  const statuses = new Set<number>()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...VERBS),
      fc.constantFrom(...NAMES),
      body,
      async (verb, name, body) => {
        const [method = '', action = ''] = verb.split(' /')
        const answer = await server.ask(method, name + action, body)
        statuses.add(answer.status)
        const { error } = (await answer.json()) as { error?: { code: number } }
        if (answer.status === 200) return error === undefined
        return [400, 404, 409, 501].includes(answer.status) && error?.code === answer.status
      },
    ),
    { numRuns: 400 },
  )
  t.ok(statuses.size >= 3, `${[...statuses]}`)
  await works(t, server)
})

t.test('REST: a malformed address is refused', async (t) => {
  const server = await served(t)
  for (const path of ['%', '%zz', '%ff', 'topics/%c0%ae', '%00']) {
    const { status } = await server.ask('GET', path, '')
    t.ok(status === 400 || status === 404, `${path}: ${status}`)
  }
  await works(t, server)
})

t.test('gRPC: any bytes get a status, and the server survives', async (t) => {
  const server = await served(t)
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure())
  t.teardown(() => client.close())
  const unary = METHODS.filter(({ streaming, name }) => !streaming && name !== 'Pull')
  const call = (path: string, bytes: Uint8Array) =>
    new Promise<number>((resolve) => {
      const options = { deadline: Date.now() + patient(30_000) }
      const same = (given: Buffer) => given
      const done = (error: ServiceError | null) => resolve(error?.code ?? 0)
      client.makeUnaryRequest(path, same, same, Buffer.from(bytes), options, done)
    })
  const name = Buffer.from('projects/demo/topics/news')
  // Random bytes seldom parse beyond the first field, so half of them follow a valid one.
  const begun = fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) => Buffer.concat([Buffer.from([10, name.length]), name, bytes]))
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 80 }), begun)
  const codes = new Set<number>()
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...unary), bytes, async ({ path }, bytes) => {
      const code = await call(path, bytes)
      codes.add(code)
      // Cancelled, deadline exceeded and unavailable would mean a server that hangs or has died.
      return ![1, 4, 14].includes(code)
    }),
    { numRuns: 400 },
  )
  t.ok(codes.has(3), `${[...codes]}`)
  await works(t, server)
})

t.test('gRPC: any stream ends with a status, and the server survives', async (t) => {
  const server = await served(t)
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure())
  t.teardown(() => client.close())
  const same = (given: Buffer) => given
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 80 }), async (bytes) => {
      const path = '/google.pubsub.v1.Subscriber/StreamingPull'
      const stream = client.makeBidiStreamRequest<Buffer, Buffer>(path, same, same, {
        deadline: Date.now() + patient(30_000),
      })
      const ended = new Promise<number>((resolve) => {
        stream.on('error', ({ code }: ServiceError) => resolve(code))
        stream.on('status', ({ code }) => resolve(code))
        stream.on('data', () => {})
      })
      stream.write(Buffer.from(bytes))
      stream.end()
      return ![1, 4, 14].includes(await ended)
    }),
    { numRuns: 100 },
  )
  await works(t, server)
})

t.test('bytes that are neither HTTP nor gRPC end only their own connection', async (t) => {
  const server = await served(t)
  const openings = [
    '',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'POST /v1/projects/demo/topics/news:publish HTTP/1.1\r\n',
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...openings),
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      async (opening, bytes) => {
        const socket = connect(server.port, '127.0.0.1')
        const closed = new Promise((resolve) => socket.on('close', resolve))
        socket.on('error', () => {}).resume()
        socket.write(opening)
        socket.end(bytes)
        await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 200))])
        socket.destroy()
      },
    ),
    { numRuns: 60 },
  )
  await works(t, server)
})
