import { setTimeout as sleep } from 'node:timers/promises'
import type { JobRequest, JobStatus } from '#shared/contracts/api/job.ts'
import { hasEnded } from '#shared/contracts/has-ended.ts'
import { type Client, Refused } from './client.ts'

/** A job in its latest known state. */
export interface Seen {
  readonly request_id: string
  readonly job: JobStatus
}

export interface Followed {
  /** The jobs, by request and track: `REQUEST_ID ASSET_GUID`. */
  readonly seen: ReadonlyMap<string, Seen>
  /** Follows one more request. `jobs`: the least number of jobs that it must have. */
  expect(requestId: string, jobs?: number): void
  /** Ends the list: no more requests will be added. */
  close(): void
  /** Resolves when all jobs have ended. @throws Refused when a request stays unknown. */
  readonly ended: Promise<void>
}

interface FollowOptions {
  /** Called whenever the state or the percentage of a job has changed. */
  readonly onChange: (seen: Seen, before: JobStatus | undefined) => void
  /** How long a request may be unknown to the API, ms. */
  readonly patienceMs: number
}

/** Between two polls, ms: ten times as long as a poll takes, within these limits. */
const EVERY_MS = 1_000
const MAX_MS = 15_000
const CONCURRENCY = 4

interface Request {
  readonly id: string
  readonly since: number
  jobs: number
}

/** Polls requests until their jobs have ended. */
export function follow(client: Client, { onChange, patienceMs }: FollowOptions): Followed {
  const seen = new Map<string, Seen>()
  const open = new Map<string, Request>()
  let isClosed = false

  /** @returns whether all jobs of the request have ended. */
  async function look({ id, since, jobs }: Request): Promise<boolean> {
    let request: JobRequest
    try {
      request = await client.get(`/v1/jobs/${encodeURIComponent(id)}`)
    } catch (error) {
      const isUnknown = error instanceof Refused && error.status === 404
      if (isUnknown && performance.now() - since < patienceMs) return false
      throw error
    }
    for (const job of request.jobs) {
      const key = `${id} ${job.asset_guid}`
      const before = seen.get(key)?.job
      if (before?.state === job.state && before.percent === job.percent) continue
      const now = { request_id: id, job }
      seen.set(key, now)
      onChange(now, before)
    }
    return request.jobs.length >= jobs && request.jobs.every(hasEnded)
  }

  async function lookAtAll(): Promise<void> {
    const waiting = [...open.values()]
    const look1 = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const { jobs } = next
        // More jobs of the request may have been submitted during the poll.
        if ((await look(next)) && next.jobs === jobs) open.delete(next.id)
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, look1))
  }

  async function toTheEnd(): Promise<void> {
    for (;;) {
      const began = performance.now()
      const last = isClosed
      await lookAtAll()
      if (last && open.size === 0) return
      const ms = Math.min(MAX_MS, Math.max(EVERY_MS, 10 * (performance.now() - began)))
      await sleep(ms, undefined, { signal: client.signal })
    }
  }

  const ended = toTheEnd()
  ended.catch(() => {})
  return {
    seen,
    ended,
    expect(requestId, jobs = 1) {
      const known = open.get(requestId)
      if (known !== undefined) known.jobs = Math.max(known.jobs, jobs)
      else open.set(requestId, { id: requestId, since: performance.now(), jobs })
    },
    close() {
      isClosed = true
    },
  }
}
