import { LANES } from '#shared/contracts/lanes.ts'
import { ROUTE_PATTERN } from '#shared/contracts/names.ts'
import { STAGES, type Stage } from '#shared/contracts/stages.ts'
import { DEFAULT_ROUTE, publishTopic, topology } from '#shared/contracts/topology.ts'

/** The file that terraform/*.tf reads, and the one that its tests compare the result with. */
export const FILES = ['terraform/topology.json', 'terraform/tests/topology.json'] as const
/** The routes in Terraform's tests. */
export const EXAMPLE = [DEFAULT_ROUTE, 'cloud-urgent', 'onprem-a'] as const

/** The texts of the files by name, generated from the code: the pattern of any deployment, and the whole of one. */
export function topologyFiles(): Readonly<Record<(typeof FILES)[number], string>> {
  const { topics, deadLetterTopic, subscriptions } = topology([DEFAULT_ROUTE])
  const isOfDefault = (topic: string) => !topic.includes('.')
  const per = (topic: string) => ({
    perRoute: STAGES.includes(topic as Stage),
    perLane: topics.some((each) => each.startsWith(`${topic}.`)),
  })
  const pattern = {
    from: 'shared/contracts/topology.ts, by `npm run topology`: do not edit',
    routePattern: ROUTE_PATTERN,
    defaultRoute: DEFAULT_ROUTE,
    laneSuffixes: LANES.map((lane) => publishTopic(lane).slice('publish'.length)),
    deadLetterTopic,
    topics: topics.filter(isOfDefault).map((name) => ({ name, ...per(name) })),
    subscriptions: subscriptions
      .filter(({ name }) => isOfDefault(name))
      .map(({ name: _, ...spec }) => ({ ...spec, ...per(spec.topic) })),
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
