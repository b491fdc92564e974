import { LANES } from '#shared/contracts/lanes.ts'
import { masterPrefixes } from '#shared/contracts/route.ts'
import { CHAIN, perStage, STAGE_SPECS, STAGES, type Stage } from '#shared/contracts/stages.ts'
import {
  CALLBACKS_TOPIC,
  DEAD_LETTER_TOPIC,
  publishTopic,
  stageTopic,
} from '#shared/contracts/topology.ts'
import type { Config } from '#shared/frame/settings.ts'

/** The services whose identity a preflight may run under: those of terraform/rights.tf. */
export const SERVICES = [...CHAIN, 'dispatch', 'track'] as const
export type ServiceName = (typeof SERVICES)[number]

/** `keep`: create and read. `use`: list and remove, too. */
export type Access = 'read' | 'keep' | 'use'

/** The permissions that the identity of a service needs, and no others. */
export interface Needs {
  readonly consumes: readonly string[]
  readonly publishes: readonly string[]
  readonly stores: Partial<Readonly<Record<'assets' | 'scratch' | 'uploads', Access>>>
  /** Prefixes of the masters that it reads. */
  readonly masters: readonly string[]
  readonly database: boolean
  readonly ffmpeg: boolean
  /** Whether it asks ingest for cancellations. */
  readonly ingest: boolean
}

/** The needs of one service, or of all of them together. */
export function needsOf(service: ServiceName | undefined, config: Config): Needs {
  const needs = service === undefined ? SERVICES : [service]
  return needs.map((each) => NEEDS[each](config)).reduce(together)
}

/** Topics that every step publishes to: it may send a job to ingest again, report events, and dead-letter a message. */
const EVERY_STEP = ['ingest', 'events', DEAD_LETTER_TOPIC]
const MAKES = { assets: 'keep', scratch: 'use', uploads: 'read' } as const

const NEEDS: Readonly<Record<ServiceName, (config: Config) => Needs>> = {
  ingest: ({ routes }) => ({
    consumes: ['ingest'],
    publishes: [
      ...Object.keys(routes).flatMap((route) => inLanes('stage', route)),
      ...EVERY_STEP,
    ],
    stores: { assets: 'read', uploads: 'keep' },
    masters: [],
    database: true,
    ffmpeg: false,
    ingest: false,
  }),
  ...perStage((stage) => (config: Config) => {
    // A stage that was fanned out publishes its joins to its own topic.
    const needs = step(stage, STAGES.slice(STAGES.indexOf(stage)), config)
    const { makes, ffmpeg } = STAGE_SPECS[stage]
    return { ...needs, ffmpeg, stores: makes ? MAKES : { ...MAKES, assets: 'read' } }
  }),
  publish: ({ routes }) => ({
    consumes: [...LANES.map(publishTopic), 'events', DEAD_LETTER_TOPIC],
    publishes: [
      'published',
      CALLBACKS_TOPIC,
      ...Object.keys(routes).flatMap((route) => inLanes('stage', route)),
      ...EVERY_STEP,
    ],
    // Manifests of campaigns; those among masters are read where there are any.
    stores: { uploads: 'read' },
    masters: [],
    database: true,
    ffmpeg: false,
    ingest: false,
  }),
  dispatch: (config) => ({
    ...step('stage', [], config),
    stores: { scratch: 'use', uploads: 'read' },
  }),
  // The pods that the dispatcher creates.
  track: (config) => ({ ...step('stage', [], config), consumes: [] }),
}

function step(consumed: Stage, sends: readonly Stage[], { route, routes }: Config): Needs {
  const own = routes[route]
  return {
    consumes: inLanes(consumed, route),
    publishes: [
      ...sends.flatMap((stage) => inLanes(stage, route)),
      ...LANES.map(publishTopic),
      ...EVERY_STEP,
    ],
    stores: MAKES,
    masters: own === undefined ? [] : masterPrefixes(own),
    database: false,
    ffmpeg: true,
    ingest: true,
  }
}

function inLanes(stage: Stage, route: string): readonly string[] {
  return LANES.map((lane) => stageTopic(stage, route, lane))
}

const MORE: readonly Access[] = ['read', 'keep', 'use']

function together(a: Needs, b: Needs): Needs {
  const stores = { ...a.stores }
  for (const [name, access] of Object.entries(b.stores)) {
    const known = stores[name as keyof Needs['stores']] ?? 'read'
    const most = MORE[Math.max(MORE.indexOf(known), MORE.indexOf(access))] as Access
    stores[name as keyof Needs['stores']] = most
  }
  return {
    consumes: union(a.consumes, b.consumes),
    publishes: union(a.publishes, b.publishes),
    stores,
    masters: union(a.masters, b.masters),
    database: a.database || b.database,
    ffmpeg: a.ffmpeg || b.ffmpeg,
    ingest: a.ingest || b.ingest,
  }
}

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])]
}
