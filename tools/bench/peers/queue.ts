import { batching } from '#shared/async/batch.ts'
import type { ChainStep } from '#shared/contracts/stages.ts'
import type { Pids } from '../../local/process-usage.ts'

/** What a queue carries from step to step. */
export interface Carried {
  readonly request_id: string
  readonly asset_guid: string
  readonly derivative_assets: readonly string[]
  readonly master_uri: string
  /** The revision of the master: the step `stage` adds it. */
  readonly revision?: string
}

/** A queue with one end in each process of a chain. */
export interface Queue {
  /** Adds jobs for a step. They are durable when this resolves. */
  add(step: ChainStep, jobs: readonly Carried[]): Promise<void>
  /** Adds one job, as `add` does. Those that are handed on at the same time may share a request. */
  handOn(step: ChainStep, job: Carried): Promise<void>
  /**
   * Hands each job that waits for a step to `handle`, as many at once as `CONCURRENCY` says. A job is done when `handle`
   * has resolved.
   */
  work(step: ChainStep, handle: (job: Carried) => Promise<void>): Promise<void>
  /** Records what has become of a job. It is durable when this resolves. */
  record(job: Carried): Promise<void>
  close(): Promise<void>
}

/** The server that a queue keeps its jobs on. */
interface QueueServer {
  /** What `open` takes to find it. */
  readonly address: string
  readonly pids: Pids
  /** How many jobs have been recorded. */
  recorded(): Promise<number>
  /** Makes statistics of its tables, if it has any. */
  settle(): Promise<void>
  stop(): Promise<void>
}

/** A kind of queue: its server, and how a process opens its end. */
export interface QueueKind {
  /** Starts the server with its files in `folder`. @throws when it is not there, or would not be durable */
  start(folder: string): Promise<QueueServer>
  open(address: string): Promise<Queue>
}

/** Jobs under way at once in each process: as many as the chain has in these benchmarks. */
export const CONCURRENCY = 200

/**
 * What is handed on or recorded at the same time goes in one request, as Google's client of Pub/Sub does it by itself:
 * a queue that flushes once for each request takes many times as long one by one.
 * @param work does it with many jobs
 */
export function together(
  work: (jobs: readonly Carried[]) => Promise<unknown>,
): (job: Carried) => Promise<void> {
  const one = batching(
    async (jobs: readonly Carried[]) => {
      await work(jobs)
      return jobs
    },
    { most: CONCURRENCY, gatherMs: 2 },
  )
  return async (job) => {
    await one(job)
  }
}

/** Makes a thing for each step when it is first asked for. */
export function perStep<Thing>(make: (step: ChainStep) => Thing): (step: ChainStep) => Thing {
  const made = new Map<ChainStep, Thing>()
  return (step) => {
    const known = made.get(step) ?? make(step)
    made.set(step, known)
    return known
  }
}
