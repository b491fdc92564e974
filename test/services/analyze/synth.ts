import type { PcmSource } from '#shared/audio/pcm.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'

/** A mono signal of ±1 as a function of the sample number. */
export type Voice = (sample: number) => number

/** A track that is generated while it is read. By default both channels are the same. */
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

/** Pink noise, by Paul Kellet's filter. For samples in order only. */
export function pink(seed: number): Voice {
  const white = noise(seed)
  const poles = [
    [0.99886, 0.0555179],
    [0.99332, 0.0750759],
    [0.969, 0.153852],
    [0.8665, 0.3104856],
    [0.55, 0.5329522],
    [-0.7616, -0.016898],
  ] as const
  const states = poles.map(() => 0)
  return (i) => {
    const x = white(i)
    let sum = 0.5362 * x
    for (let k = 0; k < poles.length; k++) {
      const [pole, gain] = poles[k] as (typeof poles)[number]
      states[k] = pole * (states[k] as number) + gain * x
      sum += states[k] as number
    }
    return 0.05 * sum
  }
}

/** Claps at random moments, 80 a second. */
export function applause(seconds: number, seed: number): Voice {
  const [random, hiss] = [noise(seed), noise(seed + 1)]
  const sum = new Float32Array(seconds * SAMPLE_RATE)
  for (let clap = 0; clap < 80 * seconds; clap++) {
    const start = Math.trunc(((random(2 * clap) + 1) / 2) * sum.length)
    const level = 0.1 + 0.05 * random(2 * clap + 1)
    for (let i = 0; i < 2000 && start + i < sum.length; i++) {
      const at = start + i
      sum[at] = (sum[at] as number) + level * hiss(at) * Math.exp(-i / 400)
    }
  }
  return (i) => sum[i] as number
}

/** A voice with syllables of uneven length with two formants, hisses and pauses, but without words. */
export function babble(seconds: number, seed: number): Voice {
  const [random, hiss] = [noise(seed), noise(seed + 1)]
  let draws = 0
  const draw = (from: number, to: number) => from + ((to - from) * (random(draws++) + 1)) / 2
  const voice = new Float32Array(seconds * SAMPLE_RATE)
  for (let time = 0; time < seconds; ) {
    const length = draw(0.08, 0.33)
    const pitch = draw(90, 150)
    const formants = [draw(300, 800), draw(900, 2200)]
    const consonant = draw(0, 1) < 0.4 ? 0.05 : 0
    const start = Math.trunc(time * SAMPLE_RATE)
    const samples = Math.trunc(0.8 * length * SAMPLE_RATE)
    for (let i = 0; i < samples && start + i < voice.length; i++) {
      const since = ((i * pitch) / SAMPLE_RATE) % 1
      const vowel = formants.reduce(
        (sum, hz) => sum + Math.exp(-6 * since) * Math.sin((2 * Math.PI * hz * since) / pitch),
        0,
      )
      voice[start + i] =
        i < consonant * SAMPLE_RATE
          ? 0.08 * hiss(i)
          : 0.3 * vowel * Math.sin((Math.PI * i) / samples)
    }
    time += length + (draw(0, 1) < 0.12 ? draw(0.15, 0.65) : 0)
  }
  return (i) => voice[i] as number
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
  const hits = drums.map(({ at, reach, sound }) => ({
    reach,
    isHit: Array.from({ length: 32 }, (_, step) => at.includes(step)),
    sounds: Float64Array.from({ length: reach }, (_, i) => sound(i)),
  }))
  return (sample) => {
    const now = Math.trunc(sample / sixteenth)
    let sum = 0
    for (const { reach, isHit, sounds } of hits) {
      for (let step = now; step >= 0 && sample - step * sixteenth < reach; step--) {
        if (isHit[step % 32]) sum += sounds[Math.trunc(sample - step * sixteenth)] as number
      }
    }
    return sum
  }
}

/** Chords of two seconds each, every note with a few overtones; notes as MIDI numbers. */
export function chords(progression: readonly (readonly number[])[]): Voice {
  const turns = progression.map((notes) =>
    notes.flatMap((note) => {
      const hz = 440 * 2 ** ((note - 69) / 12)
      return [1, 2, 3].map((overtone) => ({ overtone, turn: 2 * Math.PI * hz * overtone }))
    }),
  )
  // Again from the start each time: the sine of a large number takes many times as long.
  const cycle = 2 * progression.length * SAMPLE_RATE
  return (sample) => {
    const time = (sample % cycle) / SAMPLE_RATE
    const voices = turns[Math.trunc(time / 2) % turns.length] ?? []
    let sum = 0
    for (const { overtone, turn } of voices) sum += Math.sin(turn * time) / overtone
    return (0.15 * sum * Math.exp(-(time % 2))) / Math.max(1, voices.length / 9)
  }
}

/** The progression I–IV–V–I in major, i–iv–v–i with the minor's own seventh, around middle C. */
export function cadence(pitchClass: number, scale: 'major' | 'minor'): Voice {
  const third = scale === 'major' ? 4 : 3
  const triad = (root: number) => [root - 12, root, root + third, root + 7]
  const tonic = 54 + ((pitchClass - 54 + 120) % 12)
  return chords([triad(tonic), triad(tonic + 5), triad(tonic + 7), triad(tonic)])
}
