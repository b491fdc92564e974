// @ts-expect-error: the package ships no types for its builds
import Core from 'essentia.js/dist/essentia.js-core.umd.js'
// @ts-expect-error: as above
import wasm from 'essentia.js/dist/essentia-wasm.umd.js'

/** What we use of Essentia. Every call blocks its thread: for worker threads only. */
export interface Essentia {
  /**
   * Tempo by RhythmExtractor2013, method degara, 40 to 208 BPM.
   * @param mono 44.1 kHz. Silence or a non-finite sample gives nonsense, or no return at all.
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
  return {
    rhythm(mono) {
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

/** Vectors live on the WebAssembly heap, where no collector looks. */
function lend<T>(algorithms: Algorithms, mono: Float32Array, use: (vector: Vector) => T): T {
  const vector = algorithms.arrayToVector(mono)
  try {
    return use(vector)
  } finally {
    vector.delete()
  }
}
