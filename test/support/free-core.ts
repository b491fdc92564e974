import type { Claim, Cores } from '#shared/frame/cores.ts'

/** Takes a core if one is free for such a claim; otherwise returns undefined. */
export async function freeCore(cores: Cores, claim?: Claim): Promise<(() => void) | undefined> {
  const stop = new AbortController()
  const taking = cores.take(stop.signal, claim).catch(() => undefined)
  setImmediate(() => stop.abort())
  return taking
}
