import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import t, { type Test } from 'tap'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { lull, patient, until } from '../../support/patience.ts'

// The client is generated from the published definitions, and so is independent of the server's
// hand-written encoding.
const root = protobuf.Root.fromJSON(
  createRequire(import.meta.url)('@google-cloud/pubsub/build/protos/protos.json'),
)
const TOPIC = 'projects/demo/topics/news'
const SUBSCRIPTION = 'projects/demo/subscriptions/news'
const DEADLINE = () => ({ deadline: Date.now() + patient(10_000) })

// biome-ignore lint/suspicious/noExplicitAny: the tests check what the response is.
type Any = any

async function served(t: Test, subscription: object = {}) {
  const server = await startPubsubServer({ port: 0, file: join(t.testdir(), 'queue.sqlite') })
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure())
  t.teardown(async () => {
    client.close()
    await server.close()
  })
  const codec = (method: string) => {
    const name = root.lookupService(`google.pubsub.v1.${serviceOf(method)}`).methods[method]
    name?.resolve()
    const [request, response] = [name?.resolvedRequestType, name?.resolvedResponseType]
    return {
      path: `/google.pubsub.v1.${serviceOf(method)}/${method}`,
      encode: (value: object) =>
        Buffer.from(request?.encode(request.fromObject(value)).finish() ?? []),
      decode: (bytes: Buffer): Any => response?.decode(bytes).toJSON(),
    }
  }
  const call = (method: string, value: object): Promise<Any> => {
    const { path, encode, decode } = codec(method)
    return new Promise((resolve, reject) =>
      client.makeUnaryRequest(path, encode, decode, value, DEADLINE(), (error, response) =>
        error ? reject(error) : resolve(response),
      ),
    )
  }
  const stream = (first: object) => {
    const { path, encode, decode } = codec('StreamingPull')
    const duplex = client.makeBidiStreamRequest<Any, Any>(path, encode, decode, DEADLINE())
    const messages: Any[] = []
    const errors: ServiceError[] = []
    duplex.on('data', ({ receivedMessages = [] }) => messages.push(...receivedMessages))
    duplex.on('error', (error: ServiceError) => errors.push(error))
    duplex.write({ subscription: SUBSCRIPTION, streamAckDeadlineSeconds: 10, ...first })
    return { duplex, messages, errors }
  }
  await call('CreateTopic', { name: TOPIC })
  await call('CreateSubscription', { name: SUBSCRIPTION, topic: TOPIC, ...subscription })
  return { call, stream, server }
}

function serviceOf(method: string): 'Publisher' | 'Subscriber' {
  return /Topic|^Publish|^Detach/.test(method) ? 'Publisher' : 'Subscriber'
}

const messages = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    data: Buffer.from(`${i}`),
    attributes: { i: `${i}` },
  }))

t.test('a published message is pulled with all its fields', async (t) => {
  const { call } = await served(t)
  const message = {
    data: Buffer.alloc(70_000, 'x'),
    attributes: { a: 'ü', b: '' },
    orderingKey: 'k',
    messageId: 'not for the client to say',
    publishTime: { seconds: 1 },
  }
  const { messageIds } = await call('Publish', { topic: TOPIC, messages: [message] })
  const { receivedMessages } = await call('Pull', {
    subscription: SUBSCRIPTION,
    maxMessages: 9,
  })
  t.equal(receivedMessages.length, 1)
  const [{ message: got, deliveryAttempt }] = receivedMessages
  t.equal(Buffer.from(got.data, 'base64').length, 70_000)
  t.same(got.attributes, { a: 'ü', b: '' })
  t.match(got, { orderingKey: 'k', messageId: messageIds[0] })
  t.ok(Math.abs(Number(got.publishTime.seconds) - Date.now() / 1000) < 60)
  t.equal(deliveryAttempt, undefined, 'attempts are not reported without a dead-letter policy')
})

t.test('a stream gets no more than its limit, until it settles', async (t) => {
  const { call, stream } = await served(t)
  await call('Publish', { topic: TOPIC, messages: messages(10) })
  const { duplex, messages: got } = stream({ maxOutstandingMessages: 4 })
  await until(() => got.length === 4)
  await lull(100)
  t.equal(got.length, 4)
  duplex.write({ ackIds: [got[0].ackId, got[1].ackId] })
  await until(() => got.length === 6)
  await lull(100)
  t.equal(got.length, 6)
  duplex.write({ modifyDeadlineAckIds: [got[2].ackId], modifyDeadlineSeconds: [0] })
  await until(() => got.length === 7)
  duplex.cancel()
})

t.test('a stream is bounded by bytes as well', async (t) => {
  const { call, stream } = await served(t)
  const large = Array.from({ length: 5 }, () => ({ data: Buffer.alloc(1000) }))
  await call('Publish', { topic: TOPIC, messages: large })
  const { duplex, messages: got } = stream({ maxOutstandingBytes: 2500 })
  await until(() => got.length === 3)
  await lull(100)
  t.equal(got.length, 3)
  duplex.cancel()
})

t.test(
  'messages of a closed stream go to another one, unless the client has seen them',
  async (t) => {
    const { call, stream } = await served(t)
    await call('Publish', { topic: TOPIC, messages: messages(2) })
    const leaving = stream({})
    await until(() => leaving.messages.length === 2)
    await call('ModifyAckDeadline', {
      subscription: SUBSCRIPTION,
      ackIds: [leaving.messages[0].ackId],
      ackDeadlineSeconds: 10,
    })
    leaving.duplex.cancel()
    const staying = stream({})
    await until(() => staying.messages.length > 0)
    await lull(100)
    t.match(staying.messages, [{ message: { attributes: { i: '1' } } }])
    staying.duplex.cancel()
  },
)

t.test('deleting a subscription ends its streams', async (t) => {
  const { call, stream } = await served(t)
  const { errors } = stream({})
  await sleep(100)
  await call('DeleteSubscription', { subscription: SUBSCRIPTION })
  await until(() => errors.length > 0)
  t.equal(errors[0]?.code, 5)
})

t.test('detaching a subscription ends its streams and pulls', async (t) => {
  const { call, stream } = await served(t)
  const { errors, messages: received } = stream({})
  await call('Publish', { topic: TOPIC, messages: messages(1) })
  await until(() => received.length > 0)
  const waiting = call('Pull', { subscription: SUBSCRIPTION, maxMessages: 5 })
  await call('DetachSubscription', { subscription: SUBSCRIPTION })
  await until(() => errors.length > 0)
  t.match(errors[0], { code: 9, details: /detached/ })
  t.same(await waiting, {})
  await t.rejects(call('Pull', { subscription: SUBSCRIPTION, maxMessages: 5 }), { code: 9 })
})

t.test('faults have the status that clients expect', async (t) => {
  const { call, stream } = await served(t)
  const subscription = SUBSCRIPTION
  await t.rejects(
    call('Publish', { topic: 'projects/demo/topics/none', messages: messages(1) }),
    {
      code: 5,
    },
  )
  await t.rejects(call('Publish', { topic: TOPIC, messages: [{}] }), { code: 3 })
  const large = { data: Buffer.alloc(10 * 1024 * 1024 + 1) }
  await t.rejects(call('Publish', { topic: TOPIC, messages: [large] }), { code: 3 })
  await t.rejects(call('CreateTopic', { name: TOPIC }), { code: 6 })
  await t.rejects(call('CreateTopic', { name: 'news' }), { code: 3 })
  await t.rejects(call('Acknowledge', { subscription, ackIds: ['?'] }), { code: 3 })
  await t.rejects(
    call('ModifyAckDeadline', { subscription, ackIds: [], ackDeadlineSeconds: 601 }),
    { code: 3 },
  )
  await t.rejects(call('Seek', { subscription }), { code: 3 })
  const hasty = stream({ streamAckDeadlineSeconds: 5 })
  await until(() => hasty.errors.length > 0)
  t.equal(hasty.errors[0]?.code, 3)
  const lost = stream({ subscription: `${SUBSCRIPTION}-none` })
  await until(() => lost.errors.length > 0)
  t.equal(lost.errors[0]?.code, 5)
})

t.test('dead letters name their source', async (t) => {
  const dead = 'projects/demo/topics/dead'
  const { call } = await served(t)
  await call('CreateTopic', { name: dead })
  await call('CreateSubscription', { name: `${SUBSCRIPTION}-dead`, topic: dead })
  const subscription = `${SUBSCRIPTION}-mortal`
  const deadLetterPolicy = { deadLetterTopic: dead, maxDeliveryAttempts: 5 }
  await call('CreateSubscription', { name: subscription, topic: TOPIC, deadLetterPolicy })
  await call('Publish', { topic: TOPIC, messages: messages(1) })
  for (let attempt = 1; attempt <= 5; attempt++) {
    const { receivedMessages } = await call('Pull', { subscription, maxMessages: 1 })
    t.equal(receivedMessages[0].deliveryAttempt, attempt)
    const ackIds = [receivedMessages[0].ackId]
    await call('ModifyAckDeadline', { subscription, ackIds, ackDeadlineSeconds: 0 })
  }
  const { receivedMessages } = await call('Pull', {
    subscription: `${SUBSCRIPTION}-dead`,
    maxMessages: 1,
  })
  t.match(receivedMessages[0].message.attributes, {
    i: '0',
    CloudPubSubDeadLetterSourceDeliveryCount: '5',
    CloudPubSubDeadLetterSourceSubscription: 'news-mortal',
    CloudPubSubDeadLetterSourceSubscriptionProject: 'demo',
    CloudPubSubDeadLetterSourceTopicPublishTime: /^\d{4}-/,
  })
})

t.test('nonsense on the port does no harm', async (t) => {
  const { call, server } = await served(t)
  for (const nonsense of ['\0\0\0', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense', 'GET', '']) {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.end(nonsense)
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
  }
  t.match(await call('Publish', { topic: TOPIC, messages: messages(1) }), {
    messageIds: [/\d/],
  })
})

t.test('two servers cannot use one file', async (t) => {
  const file = join(t.testdir(), 'queue.sqlite')
  const first = await startPubsubServer({ port: 0, file })
  t.teardown(() => first.close())
  await t.rejects(startPubsubServer({ port: 0, file }), /locked/)
})
