// @ts-expect-error: the package ships no types for its builds
import Core from 'essentia.js/dist/essentia.js-core.umd.js'
// @ts-expect-error: as above
import wasm from 'essentia.js/dist/essentia-wasm.umd.js'

/** Essentia's own analysis of a whole signal, to compare with. On silence and NaN it may not return. */
interface EssentiaAlone {
  /** Beats per minute by RhythmExtractor2013, 40 to 208. @param mono 44.1 kHz */
  rhythm(mono: Float32Array, method: 'degara' | 'multifeature'): number
  /** Key by KeyExtractor, e.g. `Ab minor`: with its defaults, or with the best parameters of those tried. */
  key(mono: Float32Array, how: 'defaults' | 'best'): string
}

export function essentiaAlone(): EssentiaAlone {
  const algorithms = new Core(wasm)
  return {
    rhythm(mono, method) {
      const signal = algorithms.arrayToVector(mono)
      return algorithms.RhythmExtractor2013(signal, 208, method, 40).bpm
    },
    key(mono, how) {
      const signal = algorithms.arrayToVector(mono)
      const { key, scale } = algorithms.KeyExtractor(signal, ...(how === 'best' ? BEST : []))
      return `${key} ${scale}`
    },
  }
}

/** The best parameters: frames of 4096 without overlap and the profile bgate; the rest are defaults. */
const BEST = [
  ...[true, 4096, 4096, 12, 3500, 60, 25, 0.2, 'bgate', 44_100, 0.0001, 440, 'cosine', 'hann'],
] as const
