// @ts-expect-error: the package ships no types for its builds
import Core from 'essentia.js/dist/essentia.js-core.umd.js'
// @ts-expect-error: as above
import wasm from 'essentia.js/dist/essentia-wasm.umd.js'

/** A key by name, as Essentia gives it. */
export interface EssentiaKey {
  /** `C`, `C#`, `D`, `Eb`, `E`, `F`, `F#`, `G`, `Ab`, `A`, `Bb` or `B`. */
  readonly key: string
  readonly scale: 'major' | 'minor'
  /** Correlation with the profile; no sign of atonality. */
  readonly strength: number
}

/** What we use of Essentia. Every call blocks its thread: for worker threads only. */
export interface Essentia {
  /**
   * Tempo by RhythmExtractor2013, method degara, 40 to 208 BPM.
   * @param mono 44.1 kHz. Silence or a non-finite sample gives nonsense, or no return at all.
   */
  rhythm(mono: Float32Array): number
  /**
   * Key by KeyExtractor, one estimate for the whole signal.
   * @param mono At `sampleRate`, at least twice 3.5 kHz; the frame is of 93 ms at any.
   */
  key(mono: Float32Array, sampleRate: number, profile: 'bgate' | 'noland'): EssentiaKey
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
  KeyExtractor(
    audio: Vector,
    averageDetuningCorrection: boolean,
    frameSize: number,
    hopSize: number,
    hpcpSize: number,
    maxFrequency: number,
    maximumSpectralPeaks: number,
    minFrequency: number,
    pcpThreshold: number,
    profileType: string,
    sampleRate: number,
    spectralPeaksThreshold: number,
    tuningFrequency: number,
    weightType: string,
    windowType: string,
  ): EssentiaKey
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
    key(mono, sampleRate, profile) {
      const frame = Math.round((4096 * sampleRate) / 44_100)
      return lend(algorithms, mono, (audio) =>
        algorithms.KeyExtractor(
          audio,
          true,
          frame,
          frame,
          12,
          3500,
          60,
          25,
          0.2,
          profile,
          sampleRate,
          0.0001,
          440,
          'cosine',
          'hann',
        ),
      )
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
