import { randomUUID } from 'node:crypto'
import type { Registry } from '../assets/registry.ts'
import { PermanentError } from '../contracts/errors/chain.ts'
import { DEFAULT_LANE, laneOf } from '../contracts/lanes.ts'
import { EncodeJob } from '../contracts/messages/encode-job.ts'
import { attributesOf, RunAccepted } from '../contracts/messages/run.ts'
import { jobId, trackOf, withoutBraces } from '../contracts/names.ts'
import { fillTemplate, masterPrefixes } from '../contracts/route.ts'
import { DEFAULT_TENANT, tenantNames } from '../contracts/tenants.ts'
import { stageTopic } from '../contracts/topology.ts'
import { uploadOf, uploadPlace } from '../contracts/uploads.ts'
import type { Config } from '../frame/settings.ts'
import { type Send, send } from '../frame/step.ts'
import { withinPrefixes } from '../store/open.ts'

export interface AcceptSettings extends Pick<Config, 'routes' | 'uploads' | 'tenants'> {
  readonly registry: Registry
}

/**
 * Facts about the job that a message on the `ingest` topic carries when its job comes to ingest again. A new
 * job has none of them.
 */
export interface EarlierRun {
  readonly requestId?: string
  readonly run?: number
  readonly restarts?: number
  /** When the job was first accepted, ISO 8601. */
  readonly accepted?: string
}

/**
 * Validates an EncodeJob and chooses its route. POST, NDJSON and the `ingest` topic all use it. It does not
 * check whether the master exists; `stage` does.
 * @param owner the tenant on whose account it is made, whatever the job says; undefined: the job says so
 * @throws PermanentError that says what was wrong, where, and what was expected
 */
export function accept(
  value: unknown,
  settings: AcceptSettings,
  { requestId, run = 1, restarts = 0, accepted = new Date().toISOString() }: EarlierRun = {},
  owner?: string,
): RunAccepted {
  const { lane, tenant: named, ...job } = EncodeJob.check(value)
  const asset_guid = trackOf(job)
  if (asset_guid === undefined) {
    const words = 'asset_guid and asset_id are both missing: one of them names the track'
    throw new PermanentError('NO_TRACK', words, { at: '/asset_guid' })
  }
  const tenant = tenantFor(named, owner, settings)
  const { registry } = settings
  const derivative_assets = [...(job.derivative_assets ?? registry.keys())]
  for (const [index, id] of derivative_assets.entries()) {
    if (registry.has(id)) continue
    throw new PermanentError(
      'UNKNOWN_DERIVATIVE',
      `${JSON.stringify(id)} is not available here; available: ${[...registry.keys()].join(', ')}`,
      { at: `/derivative_assets/${index}` },
    )
  }
  const route = routeOf(job, settings)
  const masters = mastersOf({ ...job, asset_guid }, route, settings)
  const request_id = withoutBraces(job.request_id ?? requestId ?? randomUUID())
  return {
    request: {
      ...job,
      // Without the defaults: services of an earlier version know neither lanes nor tenants.
      ...(lane === undefined || lane === DEFAULT_LANE ? {} : { lane }),
      ...(tenant === DEFAULT_TENANT ? {} : { tenant }),
      request_id,
      asset_guid,
      derivative_assets,
    },
    job: jobId(request_id, asset_guid),
    run,
    route,
    accepted,
    restarts,
    masters,
  }
}

/** The message that sends an accepted job to the `stage` topic of its route and lane. */
export function toStage(accepted: RunAccepted): Send {
  const topic = stageTopic('stage', accepted.route, laneOf(accepted))
  return send(topic, RunAccepted, accepted, attributesOf(accepted))
}

/**
 * The tenant of what names `named`, from a caller of the tenant `owner`.
 * @throws PermanentError OTHER_TENANT, UNKNOWN_TENANT
 */
export function tenantFor(
  named: string | undefined,
  owner: string | undefined,
  { tenants }: Pick<AcceptSettings, 'tenants'>,
): string {
  const tenant = owner ?? named ?? DEFAULT_TENANT
  if (named !== undefined && named !== tenant) {
    const words = `the job says that its tenant is ${JSON.stringify(named)}, and its caller's is ${JSON.stringify(tenant)}`
    throw new PermanentError('OTHER_TENANT', words, { at: '/tenant' })
  }
  const known = tenantNames(tenants)
  if (known.includes(tenant)) return tenant
  const words = `${JSON.stringify(tenant)} is no tenant here; there are: ${known.join(', ')}`
  throw new PermanentError('UNKNOWN_TENANT', words, { at: '/tenant' })
}

/**
 * Chooses the route: `site` if it is given; else the first route whose prefixes contain the master or, without
 * a `master_uri`, one of whose templates can be filled in; else the first route.
 */
function routeOf(job: EncodeJob, { routes }: AcceptSettings): string {
  const names = Object.keys(routes)
  if (job.site !== undefined) {
    if (Object.hasOwn(routes, job.site)) return job.site
    throw new PermanentError(
      'UNKNOWN_SITE',
      `${JSON.stringify(job.site)} is not a route; available: ${names.join(', ')}`,
      { at: '/site' },
    )
  }
  const { master_uri } = job
  const matching = Object.entries(routes).find(([, route]) =>
    master_uri === undefined
      ? route.templates.some((template) => fillTemplate(template, job) !== undefined)
      : withinPrefixes(master_uri, masterPrefixes(route)),
  )
  const [route = names[0]] = matching ?? []
  if (route === undefined) throw new Error('no routes are configured')
  return route
}

/**
 * The candidates for the master, in the order in which `stage` tries them: `master_uri` if it is given; else
 * the filled-in templates, then the uploads.
 */
function mastersOf(
  job: EncodeJob & { asset_guid: string },
  route: string,
  settings: AcceptSettings,
): string[] {
  const known = settings.routes[route] ?? { prefixes: [], templates: [], core_slowdown: 1 }
  const { master_uri, asset_guid } = job
  if (master_uri === undefined) {
    const filled = known.templates.flatMap((template) => fillTemplate(template, job) ?? [])
    return [...filled, uploadOf(asset_guid)]
  }
  const allowed = [...masterPrefixes(known), settings.uploads]
  const place = uploadPlace(master_uri, settings.uploads) ?? master_uri
  if (withinPrefixes(place, allowed)) return [place]
  throw new PermanentError(
    'MASTER_OUT_OF_BOUNDS',
    `${JSON.stringify(master_uri)} lies outside what route ${route} may read`,
    { at: '/master_uri' },
  )
}
