import { CALLBACKS_TOPIC, DEFAULT_ROUTE, topology } from '#shared/contracts/topology.ts'
import type { Reserved } from './access.ts'

/**
 * The reserved topics and subscriptions of a chain on one machine: all of its topology. Every client may still submit
 * jobs, as by the API without tokens, and receive announcements. Undefined without a token: nothing is reserved then.
 */
export function reservedFor(project: string, token: string | undefined): Reserved | undefined {
  if (!token) return undefined
  const { topics, subscriptions } = topology([DEFAULT_ROUTE])
  const topic = (name: string) => `projects/${project}/topics/${name}`
  return {
    token,
    topics: topics.map(topic),
    subscriptions: subscriptions.map(({ name }) => `projects/${project}/subscriptions/${name}`),
    publish: [topic('ingest')],
    receive: [topic('published'), topic(CALLBACKS_TOPIC)],
  }
}
