import { sha256In } from '../contracts/uploads.ts'
import type { ObjectStat, StoreDriver } from './driver/driver.ts'

/** The latest upload of a track in the store of uploads; undefined when there is none. */
export async function latestUpload(
  driver: StoreDriver,
  assetGuid: string,
  signal: AbortSignal,
): Promise<ObjectStat | undefined> {
  let found: ObjectStat | undefined
  for await (const stat of driver.list(`${assetGuid}/`, { signal })) {
    if (sha256In(stat.name) === undefined) continue
    if (found === undefined || stat.modified > found.modified) found = stat
  }
  return found
}
