import type { ToStage } from '#shared/contracts/messages/run.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import type { ObjectStat, StoreDriver } from '#shared/store/driver/driver.ts'
import { estimateSeconds } from './cluster/pod-resources.ts'

interface Stores {
  readonly locate: (uri: string) => { driver: StoreDriver; name: ObjectName }
  readonly uploads: StoreDriver
}

/**
 * Estimates how long a track is, from the name and the size of its master. If no master can be found or read,
 * the result is 0 s and 0 bytes; the pod then reports what is wrong.
 */
export function lengthEstimator({ locate, uploads }: Stores) {
  return async (message: ToStage, signal: AbortSignal) => {
    const places = 'staging' in message ? [message.staging.uri] : message.masters
    for (const uri of places) {
      const stat = await look(uri, signal).catch(() => undefined)
      if (stat === undefined) continue
      return { seconds: estimateSeconds(stat.name, stat.bytes), bytes: stat.bytes }
    }
    return { seconds: 0, bytes: 0 }
  }

  async function look(uri: string, signal: AbortSignal): Promise<ObjectStat | undefined> {
    const guid = /^upload:(.+)$/.exec(uri)?.[1]
    if (guid === undefined) {
      const { driver, name } = locate(uri)
      return driver.stat(name, { signal })
    }
    let largest: ObjectStat | undefined
    for await (const stat of uploads.list(`${guid}/`, { signal })) {
      if (largest === undefined || stat.bytes > largest.bytes) largest = stat
    }
    return largest
  }
}
