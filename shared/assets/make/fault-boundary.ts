import { setImmediate } from 'node:timers/promises'
import { cachedPcm } from '../../audio/cached-pcm.ts'
import type { PcmSource } from '../../audio/pcm.ts'
import { PermanentError } from '../../contracts/errors/chain.ts'
import { sentence } from '../../contracts/errors/sentence.ts'
import { orFault } from '../../underway/underway.ts'
import type { Derivative, Streamed, Tools } from '../definition.ts'
import { pcmSource } from './pcm-source.ts'
import { scratchOf, type Work } from './unit-work.ts'

/** A chain of causes is followed up to this depth, because it may be circular. */
const MAX_CAUSES = 10

/** The tools of one step while they are in use, and the boundary between their faults and those of assets. */
export interface OpenTools {
  readonly tools: Tools
  /** Wraps pieces so that an error while they are read is not a fault of the asset that reads them. */
  watched<T>(pieces: AsyncIterable<T>): AsyncIterable<T>
  /**
   * Runs code of the asset. @throws PermanentError RENDER_FAILED for a fault of its own; errors of tools unchanged.
   */
  runPlugin<T>(asset: Derivative, act: () => Promise<T>): Promise<T>
  /** Wraps a file of the asset: faults are classified as by `runPlugin`, and its length has to be as declared. */
  checkedFile(asset: Derivative, file: Streamed): Streamed
  /** Releases the memory of the tools. Must not be called while they may still be in use. */
  release(): void
}

/**
 * Opens the tools of a step and watches them. A fault of a tool (store, ffmpeg, worker) may pass. A fault of the asset
 * itself never will, because the same samples always meet the same code.
 */
export function openTools({ message, context, deps }: Work): OpenTools {
  const passing = new WeakSet<object>()

  function mark(error: unknown): never {
    if (typeof error === 'object' && error !== null) passing.add(error)
    throw error
  }
  function attempt<T>(act: () => T): T {
    try {
      return act()
    } catch (error) {
      return mark(error)
    }
  }
  async function* watchPieces(pieces: AsyncIterable<unknown>): AsyncGenerator<unknown> {
    try {
      yield* pieces
    } catch (error) {
      mark(error)
    }
  }
  function watch<T extends object>(target: T): T {
    return new Proxy(target, {
      get(of, property) {
        const value = Reflect.get(of, property)
        if (typeof value !== 'function') return value
        return (...given: unknown[]) => {
          const result = attempt(() => value.apply(of, given))
          if (result?.[Symbol.asyncIterator] !== undefined) return watchPieces(result)
          return result instanceof Promise ? result.catch(mark) : result
        }
      },
    })
  }
  function isPassing(error: unknown, depth = 0): boolean {
    if (typeof error !== 'object' || error === null || depth > MAX_CAUSES) return false
    return passing.has(error) || isPassing(causeOf(error), depth + 1)
  }

  function verdictOn(error: unknown, { id, version }: Derivative): unknown {
    if (isPermanent(error) || context.signal.aborted || isPassing(error)) return error
    const words = `${id}@${version}: ${sentence(error)}`
    return new PermanentError('RENDER_FAILED', words, { cause: error })
  }

  const { locate, tools } = deps
  const source = pcmSource(message.plan.pcm, {
    locate(uri) {
      const { driver, name } = locate(uri)
      return { driver: context.counted(driver), name }
    },
    scratch: context.scratch,
    run: scratchOf(message),
  })
  const cached = cachedPcm(source, deps.blocks && { pool: deps.blocks })
  const pcm = watch<PcmSource>(cached)
  return {
    tools: watch(tools({ pcm, signal: context.signal })),
    watched: watch,
    async runPlugin(asset, act) {
      try {
        const result = await orFault(act())
        // Promises that the code has not awaited may fail now.
        await orFault(setImmediate())
        return result
      } catch (error) {
        throw verdictOn(error, asset)
      }
    },
    checkedFile: (asset, file) => ({
      byteLength: file.byteLength,
      async *[Symbol.asyncIterator]() {
        let bytes = 0
        let pieces: AsyncIterator<Uint8Array> | undefined
        try {
          pieces = file[Symbol.asyncIterator]()
          for (;;) {
            const { done, value: piece } = await orFault(pieces.next())
            if (done) break
            if (!(piece instanceof Uint8Array)) throw new TypeError('a piece that is no bytes')
            bytes += piece.byteLength
            if (bytes > file.byteLength) break
            yield piece
          }
          if (bytes === file.byteLength) return
          const so = bytes > file.byteLength ? 'more than' : `${bytes}`
          throw new RangeError(`a file of ${so} bytes, promised were ${file.byteLength}`)
        } catch (error) {
          throw verdictOn(error, asset)
        } finally {
          // Not awaited, because the iterator's clean-up may hang.
          pieces?.return?.().catch(() => {})
        }
      },
    }),
    release: () => cached.release(),
  }
}

function isPermanent(error: unknown): boolean {
  try {
    return error instanceof PermanentError
  } catch {
    return false
  }
}

/** The cause of an error, whose getter may throw: an asset can throw anything. */
function causeOf(error: object): unknown {
  try {
    return (error as { readonly cause?: unknown }).cause
  } catch {
    return undefined
  }
}
