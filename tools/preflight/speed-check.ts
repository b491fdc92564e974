import { randomBytes, randomUUID } from 'node:crypto'
import type { ObjectName } from '#shared/contracts/names.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { openStore, type StoreOptions } from '#shared/store/open.ts'
import { type Check, type Complaint, judged } from './check.ts'

/** Time limit of each of the three measurements, ms. */
const EACH_MS = 1000
const LARGE_BYTES = 4 << 20
const MAX_LARGE = 8
const MAX_SMALL = 30
/** The least speed, MB/s: in its 10 s a step reads up to 40 MB of samples, and a run makes dozens of small objects. */
const MIN_MB_S = 20
const MAX_SMALL_MS = 250

/** Checks how fast samples are written to scratch and read from it, one object after the other. */
export function speedCheck(uri: string, options: StoreOptions): Check {
  const name = 'scratch speed'
  return {
    name,
    remedy: 'see the check of scratch itself',
    async run(signal) {
      const store = openStore(uri, options)
      const folder = `preflight/${randomUUID()}/`
      try {
        const speed = await measured(store, folder, signal)
        const { writeMBs, readMBs, smallMs } = speed
        const said = `writes ${writeMBs.toFixed(0)} MB/s, reads ${readMBs.toFixed(0)} MB/s, ${smallMs.toFixed(1)} ms per small object`
        return [judged(name, complaints(speed, said), said)]
      } finally {
        await store.removeAll(folder)
      }
    },
  }
}

interface Speed {
  readonly writeMBs: number
  readonly readMBs: number
  /** Time to create one small object, ms. */
  readonly smallMs: number
}

function complaints({ writeMBs, readMBs, smallMs }: Speed, said: string): readonly Complaint[] {
  if (Math.min(writeMBs, readMBs) >= MIN_MB_S && smallMs <= MAX_SMALL_MS) return []
  const remedy = 'a faster disk, mount or link: steps will run up to their limit'
  return [{ state: 'warning', found: said, remedy }]
}

async function measured(
  store: StoreDriver,
  folder: string,
  signal: AbortSignal,
): Promise<Speed> {
  // Some file systems compress: random bytes are not faster than audio.
  const large = randomBytes(LARGE_BYTES)
  const at = (name: string) => `${folder}${name}` as ObjectName
  const put = async (name: string, bytes: Uint8Array) => {
    await store.create(at(name), bytes, { contentType: 'application/octet-stream', signal })
  }
  const written = await timed(MAX_LARGE, (index) => put(`large-${index}`, large))
  const read = await timed(written.times, async (index) => {
    for await (const _ of await store.read(at(`large-${index}`), { signal }));
  })
  const small = await timed(MAX_SMALL, (index) => put(`small-${index}`, large.subarray(0, 500)))
  return {
    writeMBs: LARGE_BYTES / 1000 / written.msEach,
    readMBs: LARGE_BYTES / 1000 / read.msEach,
    smallMs: small.msEach,
  }
}

/**
 * Repeats `act` up to `most` times, for EACH_MS at most, and at least once.
 * @returns how often it ran, and the mean time, ms.
 */
async function timed(
  most: number,
  act: (index: number) => Promise<void>,
): Promise<{ times: number; msEach: number }> {
  const began = performance.now()
  let times = 0
  do await act(times++)
  while (times < most && performance.now() - began < EACH_MS)
  return { times, msEach: (performance.now() - began) / times }
}
