import { type GcsSettings, gcsConnection } from '#shared/store/gcs/gcs-store.ts'
import type { Answer } from '#shared/store/gcs/wire.ts'

/** The settings of a bucket that matter here. Fields are undefined when this identity may not read them. */
export interface BucketFound {
  /** The location in lower case, as regions are written: `europe-west1`, `eu`. */
  readonly location: string
  readonly settings: BucketSettings | undefined
  /** When the server answered, by its own clock, in whole seconds; undefined without a Date header. */
  readonly answered: Date | undefined
}

interface BucketSettings {
  /** How long removed objects are kept and billed, s; 0: not at all. */
  readonly softDeleteSeconds: number
  readonly isVersioned: boolean
  /** Whether access is by IAM alone, without ACLs of objects. */
  readonly isUniform: boolean
  readonly isPublicAccessPrevented: boolean
  /** The deleting rules of the lifecycle. */
  readonly deletions: readonly DeletionRule[]
}

/** A deleting rule. Rules with other conditions are left out, because they delete fewer objects than they seem to. */
interface DeletionRule {
  readonly ageDays: number
  /** Only objects whose names begin with one of these; undefined: all. */
  readonly prefixes: readonly string[] | undefined
}

const FIELDS = 'location,softDeletePolicy,versioning,iamConfiguration,lifecycle'

/**
 * Reads the settings of a bucket, which need the permission storage.buckets.get. Without it only the location is
 * returned, for which storage.objects.list is enough.
 * @throws GcsError (404: there is no such bucket; 403: neither permission); the network's error.
 */
export async function bucketFound(
  bucket: string,
  settings: GcsSettings,
  signal?: AbortSignal,
): Promise<BucketFound> {
  const wire = gcsConnection(settings)
  const url = `/storage/v1/b/${encodeURIComponent(bucket)}`
  const query = { fields: FIELDS }
  const answer = await wire.send({ method: 'GET', url, query, answers: [403], signal })
  if (answer.status !== 403) return found(answer, settingsOf(answer.body as BucketResource))
  const layout = await wire.send({ method: 'GET', url: `${url}/storageLayout`, signal })
  return found(layout, undefined)
}

function found({ body, headers }: Answer, settings: BucketSettings | undefined): BucketFound {
  const { location = '' } = body as { location?: string }
  const date = Date.parse(headers.get('date') ?? '')
  const answered = Number.isNaN(date) ? undefined : new Date(date)
  return { location: location.toLowerCase(), settings, answered }
}

/** The requested fields of https://cloud.google.com/storage/docs/json_api/v1/buckets#resource. */
interface BucketResource {
  readonly softDeletePolicy?: { readonly retentionDurationSeconds?: string }
  readonly versioning?: { readonly enabled?: boolean }
  readonly iamConfiguration?: {
    readonly uniformBucketLevelAccess?: { readonly enabled?: boolean }
    readonly publicAccessPrevention?: string
  }
  readonly lifecycle?: { readonly rule?: readonly LifecycleRule[] }
}

interface LifecycleRule {
  readonly action?: { readonly type?: string }
  readonly condition?: Readonly<Record<string, unknown>>
}

function settingsOf(resource: BucketResource): BucketSettings {
  const { uniformBucketLevelAccess, publicAccessPrevention } = resource.iamConfiguration ?? {}
  return {
    softDeleteSeconds: Number(resource.softDeletePolicy?.retentionDurationSeconds ?? 0),
    isVersioned: resource.versioning?.enabled === true,
    isUniform: uniformBucketLevelAccess?.enabled === true,
    isPublicAccessPrevented: publicAccessPrevention === 'enforced',
    deletions: (resource.lifecycle?.rule ?? []).flatMap(deletion),
  }
}

function deletion({ action, condition = {} }: LifecycleRule): DeletionRule[] {
  const { age, matchesPrefix, isLive, ...others } = condition
  if (action?.type !== 'Delete' || typeof age !== 'number') return []
  // With isLive false a rule deletes old versions only.
  if (isLive === false || Object.keys(others).length > 0) return []
  const prefixes = matchesPrefix as readonly string[] | undefined
  return [{ ageDays: age, prefixes: prefixes?.length ? prefixes : undefined }]
}
