import { type PcmSource, SAMPLE_RATE } from '#shared/audio/pcm.ts'

/** A mono signal of ±1 as a function of the sample number. */
export type Voice = (sample: number) => number

/** A track that is made as it is read, the same on both channels unless told. */
export function track(
  seconds: number,
  voice: Voice,
  { right = 1 }: { right?: number } = {},
): PcmSource & { readonly samplesRead: number } {
  const samples = Math.round(seconds * SAMPLE_RATE)
  let samplesRead = 0
  const make = (start: number, end: number) => {
    const pcm = new Int16Array(2 * (end - start))
    for (let i = start; i < end; i++) {
      const value = Math.max(-1, Math.min(1, voice(i))) * 32_767
      pcm[2 * (i - start)] = Math.round(value)
      pcm[2 * (i - start) + 1] = Math.round(value * right)
    }
    samplesRead += end - start
    return pcm
  }
  return {
    samples,
    get samplesRead() {
      return samplesRead
    },
    read: async (start, end) => make(start, end),
    async *chunks(start, end, { size = SAMPLE_RATE, signal } = {}) {
      for (let i = start; i < end; i += size) {
        signal?.throwIfAborted()
        yield make(i, Math.min(end, i + size))
      }
    },
  }
}

/** Numbers of ±1 that look random and are the same each time. */
export function noise(seed: number): Voice {
  return (i) => {
    let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 31 - 1
  }
}

/**
 * Drums and bass in 4/4 over two bars: bass drum on one and three (or on all four), snare on two
 * and four, hi-hat on the eighths, a syncopated bass.
 */
export function band(bpm: number, { fourToTheFloor = true } = {}): Voice {
  const sixteenth = (60 / bpm / 4) * SAMPLE_RATE
  const hiss = noise(1)
  const kicks = fourToTheFloor ? [0, 4, 8, 12, 16, 20, 24, 28] : [0, 10, 16, 26]
  const drums = [
    {
      at: kicks,
      reach: 9000,
      sound: (i: number) =>
        0.5 * Math.sin(60 * (1 - Math.exp(-i / 2200))) * Math.exp(-i / 3000),
    },
    {
      at: [4, 12, 20, 28],
      reach: 6000,
      sound: (i: number) => 0.25 * hiss(i) * Math.exp(-i / 1500),
    },
    {
      at: [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30],
      reach: 2000,
      sound: (i: number) => 0.08 * (hiss(i) - hiss(i + 1)) * Math.exp(-i / 500),
    },
    {
      at: [2, 6, 11, 14, 18, 22, 27, 30],
      reach: 5000,
      sound: (i: number) =>
        0.15 * Math.sin((2 * Math.PI * 55 * i) / SAMPLE_RATE) * Math.exp(-i / 2500),
    },
  ]
  const hits = drums.map(({ at, reach, sound }) => ({ at: new Set(at), reach, sound }))
  return (sample) => {
    const now = Math.trunc(sample / sixteenth)
    let sum = 0
    for (const { at, reach, sound } of hits) {
      for (let step = now; step >= 0 && sample - step * sixteenth < reach; step--) {
        if (at.has(step % 32)) sum += sound(Math.trunc(sample - step * sixteenth))
      }
    }
    return sum
  }
}

/** Chords of two seconds each, every note with a few overtones; notes as MIDI numbers. */
export function chords(progression: readonly (readonly number[])[]): Voice {
  return (sample) => {
    const time = sample / SAMPLE_RATE
    const notes = progression[Math.trunc(time / 2) % progression.length] ?? []
    let sum = 0
    for (const note of notes) {
      const hz = 440 * 2 ** ((note - 69) / 12)
      for (const overtone of [1, 2, 3]) {
        sum += Math.sin(2 * Math.PI * hz * overtone * time) / overtone
      }
    }
    return (0.15 * sum * Math.exp(-(time % 2))) / Math.max(1, notes.length / 3)
  }
}

/** The progression I–IV–V–I in major, i–iv–v–i with the minor's own seventh, around middle C. */
export function cadence(pitchClass: number, scale: 'major' | 'minor'): Voice {
  const third = scale === 'major' ? 4 : 3
  const triad = (root: number) => [root - 12, root, root + third, root + 7]
  const tonic = 54 + ((pitchClass - 54 + 120) % 12)
  return chords([triad(tonic), triad(tonic + 5), triad(tonic + 7), triad(tonic)])
}
