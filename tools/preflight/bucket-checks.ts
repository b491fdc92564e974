import { isDenied } from '#shared/contracts/errors/store.ts'
import { kindOf } from '#shared/store/kinds.ts'
import { parseUri, type StoreOptions } from '#shared/store/open.ts'
import { type Check, type Complaint, type Finding, judged } from './check.ts'
import { aheadOf } from './clock-check.ts'
import { type BucketFound, bucketFound } from './gcs-bucket.ts'
import type { Seen } from './seen.ts'

export interface Bucket {
  readonly which: 'assets' | 'scratch' | 'uploads' | 'masters'
  readonly name: string
  /** The prefix of its objects: empty, or ending with a slash. */
  readonly prefix: string
}

/** The bucket of a store; undefined for a folder. */
export function bucketOf(which: Bucket['which'], uri: string): Bucket | undefined {
  const place = parseUri(uri)
  if (!kindOf(uri)?.crossesWan) return undefined
  const prefix = place.path.map((segment) => `${segment}/`).join('')
  return { which, name: place.authority, prefix }
}

/** Checks how a bucket is set up. Of a bucket of masters, which is not ours to set up, only its location is read. */
export function bucketCheck(bucket: Bucket, options: StoreOptions, seen: Seen): Check {
  const { which, name } = bucket
  const check = `bucket gs://${name} of ${which}`
  return {
    name: check,
    remedy: 'see that Cloud Storage can be reached from here with this identity',
    async run(signal) {
      let found: BucketFound
      const asked = Date.now()
      try {
        found = await bucketFound(name, options, signal)
      } catch (error) {
        if (isDenied(error)) return [unknownState(check)]
        throw error
      }
      seen.locations.set(name, found.location)
      const from = found.answered?.getTime()
      if (from !== undefined) {
        const aheadMs = aheadOf({ from, to: from + 1000 }, { from: asked, to: Date.now() })
        seen.clocks.push({ of: 'Cloud Storage', aheadMs })
      }
      if (which === 'masters') return [{ check, state: 'ok', found: `in ${found.location}` }]
      if (!found.settings) return [unknownState(check)]
      return [judged(check, complaints(bucket, found.settings), 'set up as it should be')]
    },
  }
}

function unknownState(check: string): Finding {
  return {
    check,
    state: 'unknown',
    found: 'storage.buckets.get is missing',
    remedy: 'look with roles/storage.legacyBucketReader on the bucket',
  }
}

/** Longest age in the lifecycle rule of scratch, days. Runs remove their scratch; the rule removes what they missed. */
const NET_DAYS = 2

function complaints(
  { which, name, prefix }: Bucket,
  settings: NonNullable<BucketFound['settings']>,
): readonly Complaint[] {
  const complaints: Complaint[] = []
  const update = `gcloud storage buckets update gs://${name}`
  const fault = (found: string, remedy: string) =>
    complaints.push({ state: 'fault', found, remedy })
  const { softDeleteSeconds, isVersioned, isUniform, isPublicAccessPrevented } = settings
  const deletions = settings.deletions.filter(
    ({ prefixes }) =>
      prefixes === undefined || prefixes.some((each) => prefix.startsWith(each)),
  )
  if (which === 'scratch') {
    if (softDeleteSeconds > 0) {
      const days = softDeleteSeconds / 86_400
      fault(
        `soft delete is on: removed samples are billed for ${days} days`,
        `${update} --clear-soft-delete`,
      )
    }
    if (isVersioned)
      fault('versioning is on: removed samples are kept', `${update} --no-versioning`)
    if (!deletions.some(({ ageDays }) => ageDays <= NET_DAYS))
      fault(
        'no rule of the lifecycle deletes what is a day old',
        `${update} --lifecycle-file=… with {"rule":[{"action":{"type":"Delete"},"condition":{"age":1}}]}`,
      )
  } else if (deletions.length > 0) {
    fault(`its lifecycle deletes ${which}`, 'take the rule away, or give it a prefix')
  }
  if (!isUniform) fault('access is not uniform', `${update} --uniform-bucket-level-access`)
  if (!isPublicAccessPrevented)
    complaints.push({
      state: 'warning',
      found: 'public access is not prevented (unless a policy of the organisation does)',
      remedy: `${update} --public-access-prevention`,
    })
  return complaints
}
