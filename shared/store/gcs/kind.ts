import type { StoreKind } from '../driver/kind.ts'
import { type GcsSettings, gcsConnection, gcsStore } from './gcs-store.ts'

/** Bucket names, by https://cloud.google.com/storage/docs/buckets#naming. */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/

/** Buckets of Cloud Storage: `gs://bucket/prefix`. Names are taken literally, as gcloud writes them. */
export const buckets: StoreKind<GcsSettings> = {
  form: 'gs://…',
  crossesWan: true,
  pathOf(authority, segments, refuse) {
    if (!BUCKET.test(authority)) refuse(`${JSON.stringify(authority)} is no bucket`)
    // Percent-decoding must not yield a dot, a slash, a backslash or a control character.
    if (segments.some((segment) => /%(2e|2f|5c|[01][0-9a-f]|7f)/i.test(segment)))
      refuse('it has an escape that hides a path')
    return segments
  },
  fileName: (segment) => segment,
  rootOf: (place) => ({ ...place, path: [] }),
  opener(options) {
    let connection: ReturnType<typeof gcsConnection> | undefined
    return ({ authority: bucket, path }) => {
      const prefix = path.map((segment) => `${segment}/`).join('')
      connection ??= gcsConnection(options)
      return gcsStore({ ...options, bucket, prefix, connection })
    }
  },
}
