import { pubsubBus } from '#shared/bus/pubsub.ts'

// A client that takes a message and never settles it, until it is killed.
const [endpoint = '', projectId = '', subscription = ''] = process.argv.slice(2)
pubsubBus({ projectId, endpoint }).subscribe(
  subscription,
  { concurrency: 1, longestMs: 60_000, onError: () => {} },
  () => {
    process.send?.('received')
    return new Promise(() => {})
  },
)
