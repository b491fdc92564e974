import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'

/** A server with the topic and subscription `news`, and a function that calls it. */
async function served(t: Test) {
  const server = await startPubsubServer({ port: 0, file: join(t.testdir(), 'queue.sqlite') })
  t.teardown(() => server.close())
  const ask = async (verb: string, path: string, body?: unknown) => {
    const response = await fetch(`http://127.0.0.1:${server.port}/v1/projects/demo/${path}`, {
      method: verb,
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    })
    // biome-ignore lint/suspicious/noExplicitAny: the tests check what the response is.
    return { status: response.status, body: (await response.json()) as any }
  }
  await ask('PUT', 'topics/news', {})
  await ask('PUT', 'subscriptions/news', { topic: 'projects/demo/topics/news' })
  return { ask, port: server.port }
}

const text = (message: string) => Buffer.from(message).toString('base64')

t.test('topics and subscriptions are made, described, listed and deleted', async (t) => {
  const { ask } = await served(t)
  t.match(await ask('GET', 'topics/news'), {
    status: 200,
    body: { name: 'projects/demo/topics/news' },
  })
  await ask('PUT', 'topics/other', { labels: { a: 'b' } })
  t.match(await ask('GET', 'topics'), {
    body: { topics: [{ name: /news$/ }, { name: /other$/, labels: { a: 'b' } }] },
  })
  t.match(await ask('GET', 'topics/news/subscriptions'), {
    body: { subscriptions: ['projects/demo/subscriptions/news'] },
  })
  t.match(await ask('GET', 'subscriptions/news'), {
    body: { ackDeadlineSeconds: 10, messageRetentionDuration: '604800s' },
  })
  t.equal((await ask('DELETE', 'subscriptions/news')).status, 200)
  t.same(await ask('GET', 'subscriptions'), { status: 200, body: {} })
  t.equal((await ask('DELETE', 'topics/news')).status, 200)
  t.match(await ask('GET', 'topics/news'), {
    status: 404,
    body: {
      error: { code: 404, status: 'NOT_FOUND', message: /projects\/demo\/topics\/news/ },
    },
  })
})

t.test('long lists are paged', async (t) => {
  const { ask } = await served(t)
  for (const letter of 'abc') await ask('PUT', `topics/page-${letter}`, {})
  const first = await ask('GET', 'topics?pageSize=3')
  t.equal(first.body.topics.length, 3)
  const second = await ask('GET', `topics?pageSize=3&pageToken=${first.body.nextPageToken}`)
  t.match(second.body, { topics: [{ name: /page-c$/ }], nextPageToken: undefined })
})

t.test('a message is published, pulled, extended and acknowledged', async (t) => {
  const { ask } = await served(t)
  const messages = [{ data: text('ü'), attributes: { a: 'b' }, orderingKey: 'k' }]
  const published = await ask('POST', 'topics/news:publish', { messages })
  t.match(published.body, { messageIds: [/^\d+$/] })
  const pulled = await ask('POST', 'subscriptions/news:pull', { maxMessages: 5 })
  const [{ ackId, message }] = pulled.body.receivedMessages
  t.match(message, { ...messages[0], messageId: published.body.messageIds[0] })
  t.match(message.publishTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
  const held = { ackIds: [ackId], ackDeadlineSeconds: 600 }
  t.equal((await ask('POST', 'subscriptions/news:modifyAckDeadline', held)).status, 200)
  t.same(await ask('POST', 'subscriptions/news:acknowledge', { ackIds: [ackId] }), {
    status: 200,
    body: {},
  })
  const again = { maxMessages: 5, returnImmediately: true }
  t.same((await ask('POST', 'subscriptions/news:pull', again)).body, {})
})

t.test('a pull waits for the next message', async (t) => {
  const { ask } = await served(t)
  const pulling = ask('POST', 'subscriptions/news:pull', { maxMessages: 5 })
  await ask('POST', 'topics/news:publish', { messages: [{ data: text('late') }] })
  t.equal((await pulling).body.receivedMessages.length, 1)
})

t.test('every property of a subscription but its topic can be changed', async (t) => {
  const { ask } = await served(t)
  const changed = await ask('PATCH', 'subscriptions/news', {
    subscription: {
      ackDeadlineSeconds: 77,
      retryPolicy: { minimumBackoff: '1.5s', maximumBackoff: '60s' },
      topic: 'projects/demo/topics/other',
    },
    updateMask: 'ackDeadlineSeconds,retryPolicy',
  })
  t.match(changed, {
    status: 200,
    body: {
      ackDeadlineSeconds: 77,
      retryPolicy: { minimumBackoff: '1.5s', maximumBackoff: '60s' },
      topic: 'projects/demo/topics/news',
    },
  })
})

t.test('requests that Pub/Sub would refuse are refused, with the reason', async (t) => {
  const { ask } = await served(t)
  const publish = (message: object) =>
    ask('POST', 'topics/news:publish', { messages: [message] })
  const subscribe = (fields: object) =>
    ask('PUT', 'subscriptions/more', { topic: 'projects/demo/topics/news', ...fields })
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, 'v']))
  const refusals: [() => Promise<{ status: number; body: unknown }>, number, RegExp][] = [
    [() => publish({}), 400, /empty/],
    [() => publish({ data: '' }), 400, /empty/],
    [
      () => publish({ data: text('x'.repeat(10 * 1024 * 1024 + 1)) }),
      400,
      /too large: 10485761/,
    ],
    [() => publish({ attributes: many }), 400, /101 attributes/],
    [() => publish({ attributes: { ['k'.repeat(257)]: 'v' } }), 400, /key has 257 bytes/],
    [() => publish({ attributes: { k: 'v'.repeat(1025) } }), 400, /value has 1025 bytes/],
    [() => publish({ attributes: { '': 'v' } }), 400, /key is empty/],
    [() => publish({ attributes: { k: 1 } }), 400, /attributes\.k must be a string/],
    [() => publish({ data: text('x'), orderingKey: 'k'.repeat(1025) }), 400, /ordering key/],
    [() => ask('POST', 'topics/news:publish', { messages: {} }), 400, /must be an array/],
    [() => ask('POST', 'topics/news:publish', '{"messages":'), 400, /not JSON/],
    [
      () => ask('POST', 'topics/none:publish', { messages: [{ data: text('x') }] }),
      404,
      /topics\/none/,
    ],
    [() => ask('PUT', 'topics/news', {}), 409, /already exists/],
    [() => ask('PUT', 'topics/ab', {}), 400, /3 to 255/],
    [() => ask('PUT', 'topics/googly', {}), 400, /not with "goog"/],
    [() => ask('PUT', 'topics/1st', {}), 400, /begins with a letter/],
    [
      () => ask('PUT', 'subscriptions/news', { topic: 'projects/demo/topics/news' }),
      409,
      /exists/,
    ],
    [() => subscribe({ topic: 'projects/demo/topics/none' }), 404, /topics\/none/],
    [() => subscribe({ ackDeadlineSeconds: 9 }), 400, /between 10 and 600: 9/],
    [() => subscribe({ ackDeadlineSeconds: 601 }), 400, /between 10 and 600/],
    [() => subscribe({ messageRetentionDuration: '1s' }), 400, /messageRetentionDuration/],
    [() => subscribe({ messageRetentionDuration: 'soon' }), 400, /Not a duration/],
    [() => subscribe({ retryPolicy: { minimumBackoff: '601s' } }), 400, /minimumBackoff/],
    [
      () => subscribe({ retryPolicy: { minimumBackoff: '9s', maximumBackoff: '8s' } }),
      400,
      /at least the minimum/,
    ],
    [
      () =>
        subscribe({
          deadLetterPolicy: {
            deadLetterTopic: 'projects/demo/topics/news',
            maxDeliveryAttempts: 4,
          },
        }),
      400,
      /between 5 and 100/,
    ],
    [() => subscribe({ filter: 'attributes:a' }), 400, /no filter/],
    [() => subscribe({ enableMessageOrdering: true }), 400, /no enableMessageOrdering/],
    [() => subscribe({ enableExactlyOnceDelivery: true }), 400, /no enableExactlyOnce/],
    [
      () => subscribe({ pushConfig: { pushEndpoint: 'http://x' } }),
      400,
      /Invalid push endpoint/,
    ],
    [
      () =>
        ask('POST', 'subscriptions/news:modifyPushConfig', {
          pushConfig: { pushEndpoint: 'http://x' },
        }),
      400,
      /Invalid push endpoint/,
    ],
    [() => ask('POST', 'subscriptions/none:modifyPushConfig', {}), 404, /none/],
    [() => ask('POST', 'subscriptions/news:pull', {}), 400, /maxMessages/],
    [() => ask('POST', 'subscriptions/none:pull', { maxMessages: 1 }), 404, /none/],
    [() => ask('POST', 'subscriptions/news:acknowledge', { ackIds: ['?'] }), 400, /acknowledg/],
    [
      () =>
        ask('POST', 'subscriptions/news:modifyAckDeadline', {
          ackIds: ['1-1'],
          ackDeadlineSeconds: 601,
        }),
      400,
      /between 0 and 600/,
    ],
    [() => ask('POST', 'subscriptions/news:seek', {}), 400, /time or a snapshot is missing/],
    [
      () => ask('POST', 'subscriptions/news:seek', { snapshot: 'projects/demo/snapshots/one' }),
      404,
      /snapshots\/one/,
    ],
    [() => ask('POST', 'subscriptions/news:seek', { time: 'soon' }), 400, /Not a time/],
    [() => ask('PATCH', 'subscriptions/news', { subscription: {} }), 400, /update mask/],
    [() => ask('GET', 'nothing/like/this'), 404, /no GET/],
    [() => publish({ data: 'not base64!' }), 400, /base64/],
    [() => publish({ data: text('x'), colour: 'red' }), 400, /no field "colour"/],
    [() => publish({ attributes: { google: 'x' } }), 400, /"goog"/],
    [() => ask('POST', 'topics/news:publish', { messages: [] }), 400, /has 0/],
    [() => ask('POST', 'topics/news:publish', {}), 400, /has 0/],
    [
      () =>
        ask('POST', 'topics/news:publish', {
          messages: Array.from({ length: 1001 }, () => ({ data: text('x') })),
        }),
      400,
      /has 1001/,
    ],
    [
      () =>
        ask('POST', 'topics/news:publish', {
          messages: Array.from({ length: 2 }, () => ({ data: text('x'.repeat(6 << 20)) })),
        }),
      400,
      /request is too large/,
    ],
    [() => ask('POST', 'subscriptions/news:acknowledge', { ackIds: [] }), 400, /No ack/],
    [() => ask('POST', 'subscriptions/news:acknowledge', {}), 400, /No ack/],
    [
      () => ask('POST', 'subscriptions/news:modifyAckDeadline', { ackDeadlineSeconds: 10 }),
      400,
      /No ack/,
    ],
    [() => ask('POST', 'subscriptions/news:pull', { maxMessages: 1.5 }), 400, /whole number/],
    [() => ask('PUT', 'topics/more', { messageRetentionDuration: '1s' }), 400, /between 600/],
    [() => ask('PUT', 'topics/more', { labels: { 'A B': 'c' } }), 400, /Not a label/],
    [() => ask('PUT', 'topics/more?colour=red', {}), 400, /no field "colour"/],
    [() => ask('PUT', 'topics/more', { name: 7 }), 400, /must be a string/],
    [() => ask('GET', 'topics/a!'), 400, /Invalid topic name/],
    [() => subscribe({ expirationPolicy: { ttl: '60s' } }), 400, /expirationPolicy\.ttl/],
    [
      () => subscribe({ deadLetterPolicy: { deadLetterTopic: 'projects/demo/topics/none' } }),
      404,
      /topics\/none/,
    ],
    ...[
      'nothing',
      'ackDeadlineSeconds,nothing',
      'ackDeadlineSeconds.more',
      'retryPolicy.x',
    ].map((updateMask): [() => ReturnType<typeof ask>, number, RegExp] => [
      () =>
        ask('PATCH', 'subscriptions/news', {
          subscription: { ackDeadlineSeconds: 60 },
          updateMask,
        }),
      400,
      /has no field/,
    ]),
    [
      () =>
        ask('PATCH', 'subscriptions/news', {
          subscription: { topic: 'projects/demo/topics/other' },
          updateMask: 'topic',
        }),
      400,
      /topic .* can't be changed/,
    ],
    [
      () =>
        ask('PATCH', 'subscriptions/news', {
          subscription: { deadLetterPolicy: { deadLetterTopic: 'projects/demo/topics/none' } },
          updateMask: 'deadLetterPolicy',
        }),
      404,
      /topics\/none/,
    ],
    [() => ask('POST', 'schemas', { name: 'x' }), 400, /no CreateSchema/],
    [() => ask('POST', 'topics/news:setIamPolicy', {}), 400, /no SetIamPolicy/],
    [() => ask('GET', 'topics/none:getIamPolicy'), 404, /topics\/none/],
  ]
  for (const [attempt, status, message] of refusals) {
    const refusal = await attempt()
    t.match(refusal, { status, body: { error: { code: status, message } } }, `${message}`)
  }
  const pull = { maxMessages: 1, returnImmediately: true }
  t.same(
    (await ask('POST', 'subscriptions/news:pull', pull)).body,
    {},
    'and nothing came of it',
  )
})

t.test('a batch with one bad message is refused as a whole', async (t) => {
  const { ask } = await served(t)
  const refused = await ask('POST', 'topics/news:publish', { messages: [{ data: 'eA==' }, {}] })
  t.equal(refused.status, 400)
  const pull = { maxMessages: 2, returnImmediately: true }
  t.same((await ask('POST', 'subscriptions/news:pull', pull)).body, {})
})

t.test('a message that is published before there is a subscription is dropped', async (t) => {
  const { ask } = await served(t)
  await ask('PUT', 'topics/early', {})
  await ask('POST', 'topics/early:publish', { messages: [{ data: text('x') }] })
  await ask('PUT', 'subscriptions/early', { topic: 'projects/demo/topics/early' })
  const pull = { maxMessages: 2, returnImmediately: true }
  t.same((await ask('POST', 'subscriptions/early:pull', pull)).body, {})
})

t.test('a subscription outlives its topic, with its messages', async (t) => {
  const { ask } = await served(t)
  await ask('POST', 'topics/news:publish', { messages: [{ data: text('x') }] })
  await ask('DELETE', 'topics/news')
  t.match((await ask('GET', 'subscriptions/news')).body, { topic: '_deleted-topic_' })
  const pull = { maxMessages: 2, returnImmediately: true }
  const { body } = await ask('POST', 'subscriptions/news:pull', pull)
  t.equal(body.receivedMessages.length, 1)
})

t.test('lists that stock tools request first exist, and are empty', async (t) => {
  const { ask, port } = await served(t)
  const root = await fetch(`http://127.0.0.1:${port}/`)
  t.equal(root.status, 200)
  t.match(root.headers.get('content-type'), /json/)
  for (const path of ['schemas', 'snapshots', 'topics/news/snapshots'])
    t.same(await ask('GET', path), { status: 200, body: {} }, path)
  for (const kind of ['topics', 'subscriptions']) {
    const policy = `${kind}/news:getIamPolicy?options.requestedPolicyVersion=3&alt=json`
    t.same(await ask('GET', policy), { status: 200, body: {} })
    const permissions = [`pubsub.${kind}.get`]
    t.same(await ask('POST', `${kind}/news:testIamPermissions`, { permissions }), {
      status: 200,
      body: { permissions },
    })
  }
})

t.test('a pull subscription may be set to pull', async (t) => {
  const { ask } = await served(t)
  const before = await ask('GET', 'subscriptions/news')
  t.same(await ask('POST', 'subscriptions/news:modifyPushConfig', { pushConfig: {} }), {
    status: 200,
    body: {},
  })
  t.same(await ask('GET', 'subscriptions/news'), before)
})

t.test('a mask may name a field within a field', async (t) => {
  const { ask } = await served(t)
  await ask('PATCH', 'subscriptions/news', {
    subscription: { retryPolicy: { minimumBackoff: '2s', maximumBackoff: '9s' } },
    updateMask: 'retryPolicy',
  })
  const changed = await ask('PATCH', 'subscriptions/news', {
    subscription: { retryPolicy: { maximumBackoff: '30s' } },
    updateMask: 'retry_policy.maximum_backoff',
  })
  t.match(changed.body, { retryPolicy: { minimumBackoff: '2s', maximumBackoff: '30s' } })
})

t.test('seeking drops messages older than a time, and delivers the others again', async (t) => {
  const { ask } = await served(t)
  const pull = async () => {
    const asked = { maxMessages: 10, returnImmediately: true }
    const { body } = await ask('POST', 'subscriptions/news:pull', asked)
    return (body.receivedMessages ?? []) as { message: { data: string; publishTime: string } }[]
  }
  const data = (received: Awaited<ReturnType<typeof pull>>) =>
    received.map(({ message }) => Buffer.from(message.data, 'base64').toString())
  for (const word of ['one', 'two', 'three'])
    await ask('POST', 'topics/news:publish', { messages: [{ data: text(word) }] })
  const leased = await pull()
  t.same(data(leased), ['one', 'two', 'three'])
  t.same(await pull(), [], 'all are leased')
  // The response has microseconds; a Date has milliseconds.
  const [, second] = leased
  const time = second?.message.publishTime.replace(/(\.\d{3})\d*Z/, '$1Z')
  t.equal((await ask('POST', 'subscriptions/news:seek', { time })).status, 200)
  t.ok(['two,three', 'one,two,three'].includes(String(data(await pull()))), 'back at once')
  const future = new Date(Date.now() + 60_000).toISOString()
  await ask('POST', 'subscriptions/news:seek', { time: future })
  t.same(await pull(), [])
  await ask('POST', 'topics/news:publish', { messages: [{ data: text('four') }] })
  t.same(data(await pull()), ['four'], 'what comes later comes')
})

t.test('a snapshot has labels, and can not be used when its topic is deleted', async (t) => {
  const { ask } = await served(t)
  const subscription = 'projects/demo/subscriptions/news'
  const asked = { subscription, labels: { a: 'b' } }
  t.match(await ask('PUT', 'snapshots/one', asked), {
    status: 200,
    body: { labels: { a: 'b' } },
  })
  const change = (updateMask: string) =>
    ask('PATCH', 'snapshots/one', { snapshot: { labels: { c: 'd' } }, updateMask })
  t.same((await change('labels')).body.labels, { c: 'd' })
  t.match(await change('expireTime'), {
    status: 400,
    body: { error: { message: /expireTime/ } },
  })
  t.equal((await ask('PUT', 'snapshots/two', { subscription, labels: { 1: '' } })).status, 400)
  t.same((await ask('GET', 'snapshots/one:getIamPolicy')).body, {})
  await ask('DELETE', 'topics/news')
  t.match((await ask('GET', 'snapshots')).body, { snapshots: [{ topic: '_deleted-topic_' }] })
  const seek = { snapshot: 'projects/demo/snapshots/one' }
  for (const refused of [
    await ask('POST', 'subscriptions/news:seek', seek),
    await ask('PUT', 'snapshots/two', { subscription }),
  ])
    t.match(refused, { status: 400, body: { error: { status: 'FAILED_PRECONDITION' } } })
})

t.test('a subscription can be detached, and is no longer listed with its topic', async (t) => {
  const { ask } = await served(t)
  t.same(await ask('POST', 'subscriptions/news:detach'), { status: 200, body: {} })
  t.equal((await ask('POST', 'subscriptions/news:detach')).status, 200, 'twice is once')
  t.equal((await ask('POST', 'subscriptions/none:detach')).status, 404)
  t.match((await ask('GET', 'subscriptions/news')).body, { detached: true })
  t.match((await ask('GET', 'subscriptions')).body, { subscriptions: [{ detached: true }] })
  t.same((await ask('GET', 'topics/news/subscriptions')).body, {})
  const pull = { maxMessages: 1, returnImmediately: true }
  t.match(await ask('POST', 'subscriptions/news:pull', pull), {
    status: 400,
    body: { error: { message: /detached/, status: 'FAILED_PRECONDITION' } },
  })
})
