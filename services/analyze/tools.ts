import type { AnalyzeTools } from '#shared/assets/definition.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { noKey } from './key/estimate-key.ts'
import type { Heard } from './signal/listener.ts'
import { noTempo } from './tempo/estimate-tempo.ts'
import { soundingStretches, withPrecision } from './tempo/precision.ts'
import type { WorkerPool } from './worker-pool.ts'

/** Number of samples sent to a worker at once: six seconds, 1 MiB. */
const PIECE = 1 << 18

interface AnalyzeToolsOptions {
  readonly pcm: PcmSource
  /** When it aborts, running work is terminated and rejects with the signal's reason. */
  readonly signal: AbortSignal
  readonly pool: WorkerPool
}

/**
 * The tools for analyzing one track. The track is read once, by the first call, and each estimate is made once,
 * however often it is requested. All computing is done in the pool's worker threads. At most ten minutes of
 * audio are read.
 */
export function analyzeTools({ pcm, signal, pool }: AnalyzeToolsOptions): AnalyzeTools {
  const heard = once(() => listen(pcm, signal, pool))
  return {
    pcm,
    signal,
    tempo: once(async () => {
      const { spans, unfit, energies, windows } = await heard()
      if (unfit) return noTempo(spans, unfit)
      const sounding = soundingStretches({ spans, energies })
      const transfer = [...energies, ...windows].map(({ buffer }) => buffer as ArrayBuffer)
      const found = await pool.use(signal, (ask) =>
        ask('tempo', { spans, energies, windows }, transfer),
      )
      return withPrecision(found, sounding)
    }),
    key: once(async () => {
      const { spans, unfit, low } = await heard()
      if (unfit) return noKey(unfit)
      return pool.use(signal, (ask) => ask('key', { spans, low }, [low.buffer as ArrayBuffer]))
    }),
  }
}

function listen(pcm: PcmSource, signal: AbortSignal, pool: WorkerPool): Promise<Heard> {
  return pool.use(signal, async (ask) => {
    const spans = await ask('listen', pcm.samples)
    // One piece is analyzed while the next one is read.
    let hearing: Promise<void> = Promise.resolve()
    for (const { start, end } of spans) {
      for await (const piece of pcm.chunks(start, end, { size: PIECE, signal })) {
        await hearing
        // A copy, because the piece may be a view of a buffer that must not be transferred.
        const given = piece.slice()
        hearing = ask('hear', given, [given.buffer])
        hearing.catch(() => undefined)
      }
    }
    await hearing
    return ask('heard', undefined)
  })
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
