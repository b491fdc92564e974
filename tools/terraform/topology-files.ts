import { ROUTE_PATTERN } from '#shared/contracts/names.ts'
import { STAGES, type Stage } from '#shared/contracts/stages.ts'
import { DEFAULT_ROUTE, topology } from '#shared/contracts/topology.ts'

/** The file that terraform/*.tf reads, and the one that its tests compare the result with. */
export const FILES = ['terraform/topology.json', 'terraform/tests/topology.json'] as const
/** The routes in Terraform's tests. */
export const EXAMPLE = [DEFAULT_ROUTE, 'cloud-urgent', 'onprem-a'] as const

/** The texts of the files by name, generated from the code: the pattern of any deployment, and the whole of one. */
export function topologyFiles(): Readonly<Record<(typeof FILES)[number], string>> {
  const { topics, deadLetterTopic, subscriptions } = topology([DEFAULT_ROUTE])
  const perRoute = (topic: string) => STAGES.includes(topic as Stage)
  const pattern = {
    from: 'shared/contracts/topology.ts, by `npm run topology`: do not edit',
    routePattern: ROUTE_PATTERN,
    defaultRoute: DEFAULT_ROUTE,
    deadLetterTopic,
    topics: topics.map((name) => ({ name, perRoute: perRoute(name) })),
    subscriptions: subscriptions.map(({ name: _, ...spec }) => ({
      ...spec,
      perRoute: perRoute(spec.topic),
    })),
  }
  const [first, second] = FILES
  return {
    [first]: json(pattern),
    [second]: json({ routes: EXAMPLE, ...topology(EXAMPLE) }),
  } as Record<(typeof FILES)[number], string>
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
