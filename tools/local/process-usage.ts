import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fieldsOf, TICK_MS } from '#shared/frame/telemetry/cpu-time.ts'

/** Process ids by name. */
export type Pids = Readonly<Record<string, number>>

const PAGE_BYTES = 4096

/**
 * Core-milliseconds, user and system, of each named process since its start, with those of its children,
 * ended ones included. From /proc.
 */
export async function coresOf(pids: Pids): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const { name, isChild, fields } of await named(pids)) {
    const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number)
    const own = (user ?? 0) + (system ?? 0)
    const ended = isChild ? 0 : (endedUser ?? 0) + (endedSystem ?? 0)
    found[name] = (found[name] ?? 0) + TICK_MS * (own + ended)
  }
  return found
}

/** Memory and open files of each named process at this moment, without its children. From /proc. */
export async function holdingsOf(
  pids: Pids,
): Promise<Record<string, { readonly rssBytes: number; readonly handles: number }>> {
  const held = Object.entries(pids).map(async ([name, pid]) => {
    const [, pages] = (await read(`/proc/${pid}/statm`)).split(' ')
    const handles = (await readdir(`/proc/${pid}/fd`).catch(() => [])).length
    return [name, { rssBytes: PAGE_BYTES * Number(pages ?? 0), handles }] as const
  })
  return Object.fromEntries(await Promise.all(held))
}

/** Watches memory: the most that each named process held together with its children, bytes. */
export function watchMemory(pids: () => Pids): { stop(): Promise<Record<string, number>> } {
  // Polling more often would take time from the chain itself.
  const EVERY_MS = 200
  const most: Record<string, number> = {}
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      const now: Record<string, number> = {}
      for (const { name, fields } of await named(pids())) {
        now[name] = (now[name] ?? 0) + PAGE_BYTES * Number(fields[21])
      }
      for (const [name, bytes] of Object.entries(now)) {
        most[name] = Math.max(most[name] ?? 0, bytes)
      }
      await sleep(EVERY_MS)
    }
  })()
  return {
    async stop() {
      isOver = true
      await watching
      return most
    },
  }
}

interface Named {
  readonly name: string
  readonly isChild: boolean
  /** The fields of /proc/PID/stat after the command's name: see proc(5), whose field 3 is number 0 here. */
  readonly fields: readonly string[]
}

/** The named processes and their children. */
async function named(pids: Pids): Promise<readonly Named[]> {
  const families = await Promise.all(
    Object.entries(pids).map(async ([name, parent]) => {
      const children = (await read(`/proc/${parent}/task/${parent}/children`)).trim().split(' ')
      const family = [parent, ...children.filter((pid) => pid !== '')]
      return Promise.all(
        family.map(async (pid) => {
          const fields = fieldsOf(await read(`/proc/${pid}/stat`))
          return { name, isChild: pid !== parent, fields }
        }),
      )
    }),
  )
  return families.flat().filter(({ fields }) => fields.length > 1)
}

/** The text of a file of /proc; empty for a process that has ended. */
function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}
