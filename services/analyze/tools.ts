import type { AnalyzeTools } from '#shared/assets/definition.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { noKey } from './key/estimate-key.ts'
import type { Heard } from './signal/listener.ts'
import { noTempo } from './tempo/estimate-tempo.ts'
import { soundingStretches, withPrecision } from './tempo/precision.ts'
import type { WorkerPool } from './worker-pool.ts'

/** Samples that go to a worker at once: six seconds, 1 MiB. */
const PIECE = 1 << 18

interface AnalyzeToolsOptions {
  readonly pcm: PcmSource
  /** When it aborts, whatever runs is terminated, and rejects with its reason. */
  readonly signal: AbortSignal
  readonly pool: WorkerPool
}

/**
 * The tools of one track's analysis. The track is read once, by whichever is asked first, and each
 * estimate is made once, however often it is asked for; all computing is done in the pool's worker
 * threads. At most ten minutes are read, of however long a track.
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
    // One piece is being heard while the next is read.
    let hearing: Promise<void> = Promise.resolve()
    for (const { start, end } of spans) {
      for await (const piece of pcm.chunks(start, end, { size: PIECE, signal })) {
        await hearing
        // A copy: the piece may be a window on a buffer that is not ours to give away.
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
