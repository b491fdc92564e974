import { Type } from 'typebox'

// What the page imports, so nothing of Node.

const Amount = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description }))

/** What a step used, as its event says it, its row keeps it and the history of a track shows it. */
export const StepFigures = {
  cpu_ms: Type.Optional(
    Type.Number({
      minimum: 0,
      description: 'Core-milliseconds, child processes and workers included, where known.',
    }),
  ),
  bytes_read: Amount('From stores.'),
  bytes_written: Amount('To stores.'),
  bytes_from_cloud: Amount(
    'Of those read, what came from buckets: across the WAN if the cluster of the route is elsewhere.',
  ),
  bytes_to_cloud: Amount('Of those written, what went to buckets.'),
  store_operations: Amount('Requests to stores.'),
}
