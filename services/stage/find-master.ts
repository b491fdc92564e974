import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import type { ObjectName, Revision } from '#shared/contracts/names.ts'
import type { ObjectStat, StoreDriver } from '#shared/store/driver/driver.ts'

export interface FoundMaster {
  readonly uri: string
  readonly driver: StoreDriver
  readonly name: ObjectName
  readonly bytes: number
  /** Which bytes these are, as the store pins them. */
  readonly pin: Revision
  /** The same for the world: of an upload the sha256 that it is stored under, else the pin. */
  readonly revision: Revision
}

export type Locate = (uri: string) => { driver: StoreDriver; name: ObjectName }

/** Among the candidates for a master: the latest upload of this track. */
export function uploadOf(assetGuid: string): string {
  return `upload:${assetGuid}`
}

/** What the API calls these very bytes of an upload: where they lie is nobody's business. */
export function uploadUri(assetGuid: string, sha256: string): string {
  return `${uploadOf(assetGuid)}/${sha256}`
}

/** Where such bytes lie below the store of uploads; undefined when a URI is none of that kind. */
export function uploadPlace(uri: string, uploads: string): string | undefined {
  const [, guid, sha256] =
    /^upload:([A-Za-z0-9][\w.~-]{0,127})\/([0-9a-f]{64})$/.exec(uri) ?? []
  return guid && `${uploads.replace(/\/$/, '')}/${guid}/${sha256}.upload`
}

/** The URI of a master as the API tells it: without the folders above it. Buckets are known to who asks. */
export function shownUri(uri: string): string {
  const [, guid, sha256] = /([^/]+)\/([0-9a-f]{64})\.upload$/.exec(uri) ?? []
  if (guid !== undefined && sha256 !== undefined) return uploadUri(guid, sha256)
  return uri.startsWith('file:') ? withoutPaths(uri) : uri
}

/**
 * The first of the candidates that is there: object URIs, or `upload:{asset_guid}`.
 * @throws PermanentError MASTER_NOT_FOUND once `waitSeconds` have passed since `accepted` (ISO 8601), and
 * an ordinary Error, for another attempt, before that.
 */
export async function findMaster(
  candidates: readonly string[],
  {
    locate,
    uploads,
    accepted,
    waitSeconds,
    signal,
  }: {
    locate: Locate
    uploads: StoreDriver
    accepted: string
    waitSeconds: number
    signal: AbortSignal
  },
): Promise<FoundMaster> {
  for (const uri of candidates) {
    const guid = /^upload:(.+)$/.exec(uri)?.[1]
    const { driver, name } =
      guid === undefined ? locate(uri) : { driver: uploads, name: `${guid}/` as ObjectName }
    const stat =
      guid === undefined
        ? await driver.stat(name, { signal })
        : await latest(driver, name, signal)
    if (stat === undefined) continue
    const { bytes, revision: pin } = stat
    const found = { uri: driver.uri(stat.name), driver, name: stat.name, bytes, pin }
    return { ...found, revision: uploadRevision(stat.name) ?? pin }
  }
  const words = `no master at ${candidates.join(', nor at ')}`
  const waited = (Date.now() - Date.parse(accepted)) / 1000
  if (waited < waitSeconds) {
    throw new Error(`${words}; looked for ${waited.toFixed(0)} of ${waitSeconds} s`)
  }
  throw new PermanentError('MASTER_NOT_FOUND', `${words}, in ${waitSeconds} s`)
}

function sha256In(name: ObjectName): string | undefined {
  return /(?:^|\/)([0-9a-f]{64})\.upload$/.exec(name)?.[1]
}

/** What the name of an upload says of its bytes; undefined when it is not the name of one. */
function uploadRevision(name: ObjectName): Revision | undefined {
  const sha256 = sha256In(name)
  return sha256 === undefined ? undefined : (`x${sha256.slice(0, 32)}` as Revision)
}

/** The sha256 of the latest upload of a track; undefined when there is none. */
export async function latestUpload(
  driver: StoreDriver,
  assetGuid: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const found = await latest(driver, `${assetGuid}/`, signal)
  return found && sha256In(found.name)
}

async function latest(
  driver: StoreDriver,
  folder: string,
  signal: AbortSignal,
): Promise<ObjectStat | undefined> {
  let found: ObjectStat | undefined
  for await (const stat of driver.list(folder, { signal })) {
    if (uploadRevision(stat.name) === undefined) continue
    if (found === undefined || stat.modified > found.modified) found = stat
  }
  return found
}
