// @ts-expect-error: the package ships no types for its builds
import Core from 'essentia.js/dist/essentia.js-core.umd.js'
// @ts-expect-error: as above
import wasm from 'essentia.js/dist/essentia-wasm.umd.js'

/** The part of Essentia that analysis uses. Every call blocks its thread, so use it in worker threads only. */
interface Essentia {
  /**
   * The tempo by RhythmExtractor2013, method degara, 40 to 208 BPM. The result depends on the samples alone,
   * not on earlier calls.
   * @param mono samples at 44.1 kHz. For silence or a non-finite sample the result is meaningless, or the call
   * never returns.
   */
  rhythm(mono: Float32Array): number
}

interface Vector {
  delete(): void
}

interface Algorithms {
  arrayToVector(samples: Float32Array): Vector
  RhythmExtractor2013(
    signal: Vector,
    maxTempo: number,
    method: 'degara' | 'multifeature',
    minTempo: number,
  ): { bpm: number; ticks: Vector; estimates: Vector; bpmIntervals: Vector }
}

/** Starts Essentia's WebAssembly module in this thread. */
export function essentia(): Essentia {
  const algorithms = new Core(wasm) as Algorithms
  const module = wasm as { readonly HEAPU8: Uint8Array }
  const pristine = withoutZeros(module.HEAPU8)
  return {
    rhythm(mono) {
      // Where a window is digital silence for seconds, RhythmExtractor2013 reads memory that it has not
      // written, so the result would depend on earlier tracks. Restoring the memory costs 2 ms of the 130 that
      // a window takes.
      module.HEAPU8.set(pristine)
      module.HEAPU8.fill(0, pristine.length)
      return lend(algorithms, mono, (signal) => {
        const { bpm, ticks, estimates, bpmIntervals } = algorithms.RhythmExtractor2013(
          signal,
          208,
          'degara',
          40,
        )
        for (const vector of [ticks, estimates, bpmIntervals]) vector.delete()
        return bpm
      })
    },
  }
}

/** A copy of the memory up to its last byte that is not 0. */
function withoutZeros(memory: Uint8Array): Uint8Array {
  return memory.slice(0, memory.findLastIndex((byte) => byte !== 0) + 1)
}

/**
 * Runs `use` with a vector of the samples and deletes it afterwards: vectors live on the WebAssembly heap,
 * which is not garbage-collected.
 */
function lend<T>(algorithms: Algorithms, mono: Float32Array, use: (vector: Vector) => T): T {
  const vector = algorithms.arrayToVector(mono)
  try {
    return use(vector)
  } finally {
    vector.delete()
  }
}
