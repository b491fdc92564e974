import { mutantsOf } from '../mutant.ts'

const durable = ['test/tools/local/pubsub-durable.test.ts']
const broker = ['test/tools/local/pubsub-broker.test.ts']

export default [
  ...mutantsOf('tools/local/pubsub/broker.ts', durable, [
    {
      breaks: 'publish is answered before the journal has committed',
      from: '    if (this.#journal.dirty) {\n      this.#answers.push(answer)',
      to: '    if (false) {\n      this.#answers.push(answer)',
    },
    {
      breaks: 'what waits is answered before the commit',
      from: '    try {\n      this.#journal.commit()',
      to: '    for (const answer of this.#answers.splice(0)) answer()\n    try {\n      this.#journal.commit()',
    },
    {
      breaks: 'a disk that refuses is passed over',
      from: '      this.#closed = true\n      this.#onFatal(error as Error)\n      return\n',
      to: '',
    },
    {
      breaks: 'a message is given to the subscriptions, and to no disk',
      from: 'queues.map((queue) => queue.key),',
      to: '[],',
    },
    {
      breaks: 'ids fall back when the clock does',
      from: 'Math.max(this.#lastId + 1, Date.now() * 1000)',
      to: 'Date.now() * 1000',
      tests: [...broker, ...durable],
    },
    {
      breaks: 'what is dead-lettered is nowhere',
      from: '    this.#accept(\n      topic,',
      to: '    this.#accept(\n      { ...topic, queues: [] },',
    },
    {
      breaks: 'a server that is closed forgets what it had leased',
      from: '      queue.note()\n',
      to: '',
    },
  ]),
  ...mutantsOf('tools/local/pubsub/queue.ts', durable, [
    {
      breaks: 'attempts are forgotten by a server that is killed',
      from: 'this.#host.journal.note(this.key, entry.id, entry.attempt, Math.ceil(due))',
      to: '',
    },
    {
      breaks: 'who works on it for long has made no attempt',
      from: 'entry.noted !== attempt && ',
      to: 'entry.noted === -1 && ',
    },
    {
      breaks: 'an attempt more than allowed',
      from: 'entry.attempt >= deadLetterPolicy.maxDeliveryAttempts',
      to: 'entry.attempt > deadLetterPolicy.maxDeliveryAttempts',
    },
    {
      breaks: 'what was dead-lettered comes again',
      from: '      this.ack(entry.id)\n      return\n',
      to: '',
    },
    {
      breaks: 'an ack is forgotten',
      from: 'this.#host.journal.settle(this.key, id, entry?.shared ?? true)',
      to: '',
    },
    {
      breaks: 'an ack from before a restart takes the message from other subscriptions',
      from: 'entry?.shared ?? true)',
      to: 'entry?.shared ?? false)',
      tests: [...broker, ...durable],
    },
    {
      breaks: 'a late nack gives back what somebody else has',
      from: "entry?.state !== 'leased' || entry.attempt !== attempt",
      to: "entry?.state !== 'leased'",
      tests: [...broker, ...durable],
    },
    {
      breaks: 'a consumer gets more bytes than it has asked for',
      from: 'consumer.outstandingBytes < consumer.maxBytes',
      to: 'true',
      tests: broker,
    },
    {
      breaks: 'a consumer gets more messages than it has asked for',
      from: 'Math.min(share, consumer.maxMessages - consumer.outstanding)',
      to: 'share',
      tests: broker,
    },
    {
      breaks: 'what is older than the retention is kept',
      from: 'if (this.#host.journal.expire(this.key, below) > 0) this.#host.wake(this)',
      to: '',
    },
  ]),
  ...mutantsOf('tools/local/pubsub/sqlite-journal.ts', durable, [
    {
      breaks: 'bodies of messages with two subscriptions are never deleted',
      from: 'else if (this.#sql.countDown.get(id)?.waiting === 0) this.#sql.removeMessage.run(id)',
      to: 'else this.#sql.countDown.get(id)',
    },
    {
      breaks: 'a body goes with the first of two acks',
      from: 'if (!shared) this.#sql.removeMessage.run(id)',
      to: 'if (id > 0) this.#sql.removeMessage.run(id)',
    },
    {
      breaks: 'an ack that comes twice takes the body from the other subscription',
      from: 'if (this.#sql.removeDelivery.run(subscription, id).changes === 0) return',
      to: 'this.#sql.removeDelivery.run(subscription, id)',
    },
    {
      breaks: 'bodies that have expired are kept',
      from: '    this.#sql.removeExpiredMessages.run(subscription, below)\n',
      to: '',
    },
    {
      breaks: 'what has expired for one is deleted for the other',
      from: 'delete from messages where waiting = 1 and id in',
      to: 'delete from messages where id in',
    },
    {
      breaks: 'what has expired for one is never counted',
      from: '    this.#sql.countDownExpired.run(subscription, below)\n',
      to: '',
    },
    {
      breaks: 'a commit commits nothing',
      from: '    this.#sql.commit.run()\n',
      to: '',
    },
    {
      breaks: 'the attempt of a message is not kept',
      from: "'update deliveries set attempt = ?, due = ? where",
      to: "'update deliveries set attempt = 0 * ?, due = ? where",
    },
    {
      breaks: 'the body of a subscription that is deleted is kept',
      from: '    this.expire(key, Number.MAX_SAFE_INTEGER)\n    this.#sql.removeSubscription',
      to: '    this.#begin()\n    this.#sql.removeSubscription',
    },
  ]),
]
