import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PubSub } from '@google-cloud/pubsub'
import t, { type Test } from 'tap'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { until } from '../../support/patience.ts'

interface Pushed {
  readonly subscription: string
  readonly deliveryAttempt?: number
  readonly message: {
    readonly data: string
    readonly attributes: Readonly<Record<string, string>>
    readonly messageId: string
    readonly publishTime: string
  }
}

type Answer = (response: ServerResponse, pushed: Pushed) => unknown

process.env.METADATA_SERVER_DETECTION = 'none'

const answers =
  (status: number): Answer =>
  (response) =>
    response.writeHead(status).end('thanks')

/** An application that is pushed to. `got`: what it was sent; `answer`: how it answers from now on. */
async function receiver(t: Test) {
  const own = {
    got: [] as Pushed[],
    types: new Set<unknown>(),
    answer: answers(204),
    url: '',
    most: 0,
  }
  let open = 0
  const server = createServer(async (request: IncomingMessage, response) => {
    const pushed = JSON.parse(
      Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString(),
    ) as Pushed
    own.types.add(request.headers['content-type'])
    own.got.push(pushed)
    own.most = Math.max(own.most, ++open)
    response.on('close', () => open--)
    await own.answer(response, pushed)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  own.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/inbox?key=1`
  return own
}

async function served(t: Test, file = join(t.testdir(), 'queue.sqlite'), host = '127.0.0.1') {
  const server = await startPubsubServer({ port: 0, file, host })
  const pubsub = new PubSub({
    projectId: 'demo',
    apiEndpoint: `127.0.0.1:${server.port}`,
    emulatorMode: true,
  })
  const close = async () => {
    await pubsub.close()
    await server.close()
  }
  return { pubsub, file, close }
}

t.test(
  'messages are posted as Pub/Sub posts them, and an answer of 2xx is an ack',
  async (t) => {
    const inbox = await receiver(t)
    const { pubsub, close } = await served(t)
    t.teardown(close)
    const [topic] = await pubsub.createTopic('news')
    const [subscription] = await topic.createSubscription('inbox', { pushEndpoint: inbox.url })
    const [{ pushConfig }] = await subscription.getMetadata()
    t.equal(pushConfig?.pushEndpoint, inbox.url)
    const id = await topic.publishMessage({ data: Buffer.from('hé'), attributes: { job: 'a' } })
    await until(() => inbox.got.length === 1)
    t.match(inbox.got[0], {
      subscription: 'projects/demo/subscriptions/inbox',
      message: {
        data: Buffer.from('hé').toString('base64'),
        attributes: { job: 'a' },
        messageId: id,
        publishTime: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
      },
    })
    t.notOk('deliveryAttempt' in (inbox.got[0] ?? {}), 'without a dead-letter policy')
    t.notOk('ackId' in (inbox.got[0] ?? {}))

    inbox.answer = async (response) => {
      await sleep(30)
      response.writeHead(201).end()
    }
    const texts = Array.from({ length: 200 }, (_, n) => `${n}`)
    await Promise.all(texts.map((text) => topic.publishMessage({ data: Buffer.from(text) })))
    await until(() => inbox.got.length === 201)
    const seen = inbox.got
      .slice(1)
      .map(({ message }) => `${Buffer.from(message.data, 'base64')}`)
    t.strictSame(seen.sort(), texts.sort(), 'each once')
    t.ok(inbox.most > 2, `successes open the window: ${inbox.most} at once`)
    t.ok(inbox.most <= 100)
    t.strictSame([...inbox.types], ['application/json'])

    const pulled = await new Promise<Error>((resolve) =>
      pubsub.subscription('inbox').on('error', resolve).on('message', t.fail),
    )
    t.match(pulled, { code: 9, message: /is pushed, and can't be pulled/ })
  },
)

t.test(
  'what is refused comes again, and goes to the dead-letter topic in the end',
  async (t) => {
    const inbox = await receiver(t)
    const { pubsub, close } = await served(t)
    t.teardown(close)
    const [topic] = await pubsub.createTopic('news')
    const [letters] = await pubsub.createTopic('letters')
    const [dead] = await letters.createSubscription('dead')
    await topic.createSubscription('inbox', {
      pushEndpoint: inbox.url,
      deadLetterPolicy: { deadLetterTopic: letters.name, maxDeliveryAttempts: 5 },
    })
    const statuses = [500, 302, 404, 204]
    const elsewhere = await receiver(t)
    inbox.answer = (response) =>
      response.writeHead(statuses.shift() ?? 503, { location: elsewhere.url }).end()
    await topic.publishMessage({ data: Buffer.from('a') })
    await until(() => inbox.got.length === 4)
    t.strictSame(
      inbox.got.map(({ deliveryAttempt }) => deliveryAttempt),
      [1, 2, 3, 4],
    )
    t.equal(elsewhere.got.length, 0, 'a redirection is not followed')
    await topic.publishMessage({ data: Buffer.from('b') })
    const letter = await new Promise<{ data: Buffer; ack(): void }>((resolve) =>
      dead.on('message', resolve),
    )
    letter.ack()
    t.equal(`${letter.data}`, 'b')
    t.equal(inbox.got.length, 9)
    await dead.close()
  },
)

t.test('what is not answered in time comes again', async (t) => {
  const inbox = await receiver(t)
  const { pubsub, close } = await served(t)
  t.teardown(close)
  const [topic] = await pubsub.createTopic('news')
  await topic.createSubscription('inbox', { pushEndpoint: inbox.url, ackDeadlineSeconds: 10 })
  inbox.answer = () => {}
  const began = performance.now()
  await topic.publishMessage({ data: Buffer.from('a') })
  await until(() => inbox.got.length === 1)
  inbox.answer = answers(204)
  await until(() => inbox.got.length === 2, 60_000)
  t.ok(performance.now() - began > 9900)
})

t.test(
  'a restart goes on pushing; without an endpoint messages wait to be pulled',
  async (t) => {
    const inbox = await receiver(t)
    inbox.answer = () => {}
    const first = await served(t)
    const [topic] = await first.pubsub.createTopic('news')
    await topic.createSubscription('inbox', { pushEndpoint: inbox.url })
    await topic.publishMessage({ data: Buffer.from('a') })
    await until(() => inbox.got.length === 1)
    await first.close()
    inbox.answer = answers(200)
    const { pubsub, close } = await served(t, first.file)
    t.teardown(close)
    await until(() => inbox.got.length === 2)

    const subscription = pubsub.subscription('inbox')
    await subscription.modifyPushConfig({})
    await pubsub.topic('news').publishMessage({ data: Buffer.from('b') })
    const pulled = new Promise<string>((resolve) =>
      subscription.on('message', (message) => {
        message.ack()
        resolve(`${message.data}`)
      }),
    )
    t.equal(await pulled, 'b')
    const ended = once(subscription, 'error')
    await pubsub.subscription('inbox').modifyPushConfig({ pushEndpoint: inbox.url })
    t.match(await ended, [{ code: 9 }], 'a stream ends when messages are pushed')
    await pubsub.topic('news').publishMessage({ data: Buffer.from('c') })
    await until(() => inbox.got.length === 3)
  },
)

t.test('endpoints of other machines are refused, and what else is not there', async (t) => {
  const { pubsub, close } = await served(t)
  t.teardown(close)
  const [topic] = await pubsub.createTopic('news')
  for (const pushEndpoint of [
    'http://169.254.169.254/latest',
    'http://example.com/',
    'http://10.0.0.1:80/',
    'http://[::ffff:10.0.0.1]/',
    'http://0.0.0.0:1/',
    'http://user@127.0.0.1/',
    'ftp://127.0.0.1/',
    '/inbox',
  ]) {
    await t.rejects(topic.createSubscription('inbox', { pushEndpoint }), {
      code: 3,
      message: /Invalid push endpoint/,
    })
  }
  await t.rejects(
    topic.createSubscription('inbox', {
      pushConfig: {
        pushEndpoint: 'http://127.0.0.1/',
        oidcToken: { serviceAccountEmail: 'a@b.c' },
      },
    }),
    { code: 9, message: /no oidcToken/ },
  )
  const open = await served(t, join(t.testdir(), 'open.sqlite'), '0.0.0.0')
  t.teardown(open.close)
  const [news] = await open.pubsub.createTopic('news')
  await t.rejects(news.createSubscription('inbox', { pushEndpoint: 'http://127.0.0.1/' }), {
    code: 9,
    message: /only where it listens on loopback/,
  })
})
