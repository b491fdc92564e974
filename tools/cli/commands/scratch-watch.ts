import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a watch of a scratch store has seen. */
export interface ScratchSeen {
  readonly mostFiles: number
  readonly mostBytes: number
  /** Files that are left at the end; 0 when all went well. */
  readonly left: number
}

const EVERY_MS = 100
/** How long the removal that follows the last publish may take, ms. */
const REMOVAL_MS = 5_000

/** Polls a scratch folder, so that the demo can report how much was in it and that it was removed. */
export function watchScratch(folder: string): { end(): Promise<ScratchSeen> } {
  const ending = new AbortController()
  let [mostFiles, mostBytes] = [0, 0]
  async function look(): Promise<number> {
    const { files, bytes } = await contents(folder)
    mostFiles = Math.max(mostFiles, files)
    mostBytes = Math.max(mostBytes, bytes)
    return files
  }
  const watching = (async () => {
    while (!ending.signal.aborted) {
      await look()
      await sleep(EVERY_MS, undefined, { signal: ending.signal }).catch(() => {})
    }
  })()
  return {
    async end() {
      ending.abort()
      await watching
      const deadline = performance.now() + REMOVAL_MS
      let left = await look()
      while (left > 0 && performance.now() < deadline) {
        await sleep(EVERY_MS)
        left = await look()
      }
      return { mostFiles, mostBytes, left }
    },
  }
}

async function contents(folder: string): Promise<{ files: number; bytes: number }> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    () => [],
  )
  let [files, bytes] = [0, 0]
  for (const entry of entries) {
    if (!entry.isFile()) continue
    // The file may have been removed since it was listed.
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => undefined)
    if (!found) continue
    files++
    bytes += found.size
  }
  return { files, bytes }
}
