import { DEFAULT_ROUTE, topology } from '#shared/contracts/topology.ts'
import type { Reserved } from './access.ts'

/**
 * What the topology of one machine's chain reserves for its own services: all of it, but that anybody may hand in jobs,
 * as by the API without tokens, and hear what is announced. Undefined without a token: then nothing is reserved.
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
    receive: [topic('published')],
  }
}
