import { mutantsOf } from '../mutant.ts'

const link = ['test/shared/bus/link.test.ts']

export default [
  ...mutantsOf('shared/bus/subscriber.ts', link, [
    {
      breaks: 'whatever a handler says is acked',
      from: "if ((await handler(delivery(message))) === 'ack') message.ack()\n        else message.nack()",
      to: 'await handler(delivery(message))\n        message.ack()',
    },
    {
      breaks: 'a message is acked before its handler has ended',
      from: "if ((await handler(delivery(message))) === 'ack') message.ack()",
      to: "message.ack()\n        if ((await handler(delivery(message))) === 'ack') return",
    },
    {
      breaks: 'what a handler throws is kept until the lease runs out',
      from: '        message.nack()\n        onError(error)',
      to: '        onError(error)',
    },
    {
      breaks: 'what waits is kept by a subscriber that is paused',
      from: 'for (const message of this.#queue.clear()) message.nack()',
      to: '',
    },
    {
      breaks: 'what comes late from a stream that was dropped is begun',
      from: 'if (stream !== this.#stream) {',
      to: 'if (false) {',
    },
    {
      breaks: 'a subscriber that is paused goes on pulling',
      from: '    this.#wanted = false\n    clearTimeout(this.#timer)\n    this.#drop()',
      to: '    this.#wanted = false\n    clearTimeout(this.#timer)',
    },
    {
      breaks: 'a stream that was given up while paused is opened again',
      from: '    clearTimeout(this.#timer)\n',
      to: '',
    },
    {
      breaks: 'a subscriber that is closed opens again',
      from: 'if (this.#wanted || this.#isClosed) return',
      to: 'if (this.#wanted) return',
    },
    {
      breaks: 'who is resumed twice pulls twice',
      from: 'if (this.#wanted || this.#isClosed) return',
      to: 'if (this.#isClosed) return',
    },
    {
      breaks: 'a stream that the library gives up is gone for good',
      from: 'if (stream === this.#stream) this.#reopen()',
      to: '',
    },
    {
      breaks: 'a stream that was replaced takes the new one with it',
      from: 'if (stream === this.#stream) this.#reopen()',
      to: 'this.#reopen()',
    },
    {
      breaks: 'closing does not wait for the acks',
      from: 'await Promise.all(this.#closing)',
      to: '',
    },
    {
      breaks: 'where attempts are not counted, none was made',
      from: 'Math.max(1, message.deliveryAttempt)',
      to: 'message.deliveryAttempt',
    },
  ]),
  ...mutantsOf(
    'shared/bus/work-queue.ts',
    ['test/shared/bus/work-queue.test.ts'],
    [
      {
        breaks: 'all messages are worked on at once',
        from: 'this.#running < this.#concurrency',
        to: 'true',
      },
      {
        breaks: 'what fails ends the queue',
        from: 'this.#failed(next, error as Error)',
        to: 'throw error',
      },
      { breaks: 'places are lost', from: '    this.#running--\n', to: '' },
    ],
  ),
  ...mutantsOf('shared/frame/upstreams/watched-bus.ts', link, [
    {
      breaks: 'a message that is too large pauses the service',
      from: '(error as { code?: unknown }).code === INVALID_ARGUMENT',
      to: 'false',
    },
    {
      breaks: 'no report says that nothing can be published',
      from: 'pubsub.call(() => bus.publish(topic, message), { probe, isExpected, kind: topic })',
      to: 'bus.publish(topic, message).catch((error) => (isExpected(error), Promise.reject(error)))',
    },
    {
      breaks: 'a link that is down pauses no subscriber',
      from: "pubsub.failed(error, { probe, kind: 'pull' })",
      to: '',
    },
    {
      breaks: 'subscribers pull while an upstream is down',
      from: 'return breaker.guard(bus.subscribe(subscription, { ...options, onError }, handler))',
      to: 'return bus.subscribe(subscription, { ...options, onError }, handler)',
    },
  ]),
  ...mutantsOf(
    'shared/async/batch.ts',
    ['test/shared/async/batch.test.ts'],
    [
      {
        breaks: 'two batches are under way at once',
        from: 'if (isBusy || waiting.length === 0) return',
        to: 'if (waiting.length === 0) return',
      },
      {
        breaks: 'a batch has any size',
        from: 'const batch = waiting.slice(0, most)',
        to: 'const batch = waiting.slice()',
      },
      {
        breaks: 'what came during a batch waits for the next caller',
        from: 'if (waiting.length > 0) void flush()\n    }',
        to: '}',
      },
      {
        breaks: 'who is in a batch that fails waits for ever',
        from: 'for (const { reject } of batch) reject(error)',
        to: '',
      },
      {
        breaks: 'each caller gets the first answer',
        from: 'resolve(answers[index] as Answer)',
        to: 'resolve(answers[0 * index] as Answer)',
      },
    ],
  ),
]
