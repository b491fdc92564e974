import { bullmq } from './bullmq.ts'
import { graphileWorker } from './graphile-worker.ts'
import { pubsub } from './pubsub.ts'
import type { QueueKind } from './queue.ts'

/** The queues that a chain of plain handlers can run on. */
export const KINDS = {
  pubsub,
  'graphile-worker': graphileWorker,
  bullmq,
} as const satisfies Readonly<Record<string, QueueKind>>

export type KindName = keyof typeof KINDS
