import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { ObjectName, Revision } from '#shared/contracts/names.ts'
import { uploadRevision } from '#shared/contracts/uploads.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { latestUpload } from '#shared/store/latest-upload.ts'

export interface FoundMaster {
  readonly uri: string
  readonly driver: StoreDriver
  readonly name: ObjectName
  readonly bytes: number
  /** The store's revision of the object, by which reads are pinned. */
  readonly pin: Revision
  /** The revision that names assets: of an upload the sha256 in its name, of any other master the pin. */
  readonly revision: Revision
}

export type Locate = (uri: string) => { driver: StoreDriver; name: ObjectName }

/**
 * Finds the first candidate that exists. A candidate is an object's URI or `upload:{asset_guid}`.
 * @throws PermanentError MASTER_NOT_FOUND once `waitSeconds` have passed since `accepted` (ISO 8601); before
 * that an ordinary Error, so that the delivery is repeated
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
    const at = guid === undefined ? locate(uri) : undefined
    const driver = at?.driver ?? uploads
    const stat =
      at === undefined
        ? await latestUpload(uploads, `${guid}`, signal)
        : await driver.stat(at.name, { signal })
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
