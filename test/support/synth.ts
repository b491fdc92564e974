import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'

// What tests hear. A signal is its samples, of full scale 1, made at once; the same bytes every time.

/** One channel: numbers of full scale 1. */
export type Channel = Float64Array

export const RATE = SAMPLE_RATE

export function silence(samples: number): Channel {
  return new Float64Array(samples)
}

/** A tone; `phase` in radians at sample 0. */
export function sine(
  samples: number,
  hz: number,
  { rate = RATE, amplitude = 0.5, phase = 0 } = {},
): Channel {
  const tone = silence(samples)
  addTone(tone, { turn: (2 * Math.PI * hz) / rate, amplitude, phase })
  return tone
}

/** White noise, the same for the same seed; another seed is another noise. */
export function noise(samples: number, { seed = 1, amplitude = 0.5 } = {}): Channel {
  const hiss = silence(samples)
  for (let i = 0; i < samples; i++) hiss[i] = amplitude * random(seed, i)
  return hiss
}

/** Number `i` of those of a seed, from -1 to 1: a hash of both, so that it needs none of the numbers before. */
function random(seed: number, i: number): number {
  let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 31 - 1
}

/** Pink noise, by Paul Kellet's filter. */
export function pink(samples: number, seed: number): Channel {
  const white = noise(samples, { seed, amplitude: 1 })
  const sum = white.map((x) => 0.5362 * x)
  for (const [pole, gain] of [
    [0.99886, 0.0555179],
    [0.99332, 0.0750759],
    [0.969, 0.153852],
    [0.8665, 0.3104856],
    [0.55, 0.5329522],
    [-0.7616, -0.016898],
  ] as const) {
    let state = 0
    for (let i = 0; i < samples; i++) {
      state = pole * state + gain * (white[i] as number)
      sum[i] = (sum[i] as number) + state
    }
  }
  return gained(0.05, sum)
}

/** Claps at random moments, 80 a second. */
export function applause(samples: number, seed: number): Channel {
  const hiss = noise(samples, { seed: seed + 1, amplitude: 1 })
  const fading = Float64Array.from({ length: 2000 }, (_, i) => Math.exp(-i / 400))
  const sum = silence(samples)
  for (let clap = 0; clap < (80 * samples) / RATE; clap++) {
    const start = Math.trunc(((random(seed, 2 * clap) + 1) / 2) * samples)
    const level = 0.1 + 0.05 * random(seed, 2 * clap + 1)
    for (let i = 0; i < 2000 && start + i < samples; i++) {
      const at = start + i
      sum[at] = (sum[at] as number) + level * (hiss[at] as number) * (fading[i] as number)
    }
  }
  return sum
}

/** A voice with syllables of uneven length with two formants, hisses and pauses, but without words. */
export function babble(samples: number, seed: number): Channel {
  const seconds = samples / RATE
  let draws = 0
  const draw = (from: number, to: number) =>
    from + ((to - from) * (random(seed, draws++) + 1)) / 2
  const voice = silence(samples)
  for (let time = 0; time < seconds; ) {
    const length = draw(0.08, 0.33)
    const pitch = draw(90, 150)
    const formants = [draw(300, 800), draw(900, 2200)]
    const consonant = draw(0, 1) < 0.4 ? 0.05 * RATE : 0
    const start = Math.trunc(time * RATE)
    const count = Math.trunc(0.8 * length * RATE)
    for (let i = 0; i < count && start + i < samples; i++) {
      if (i < consonant) {
        voice[start + i] = 0.08 * random(seed + 1, i)
        continue
      }
      const since = ((i * pitch) / RATE) % 1
      let vowel = 0
      for (const hz of formants) vowel += Math.sin((2 * Math.PI * hz * since) / pitch)
      voice[start + i] = 0.3 * vowel * Math.exp(-6 * since) * Math.sin((Math.PI * i) / count)
    }
    time += length + (draw(0, 1) < 0.12 ? draw(0.15, 0.65) : 0)
  }
  return voice
}

/**
 * Drums and bass in 4/4 over two bars: bass drum on one and three (or on all four), snare on two
 * and four, hi-hat on the eighths, a syncopated bass.
 */
export function band(samples: number, bpm: number, { fourToTheFloor = true } = {}): Channel {
  const sixteenth = (60 / bpm / 4) * RATE
  const hiss = (i: number) => random(1, i)
  const drum = (length: number, sound: (i: number) => number) =>
    Float64Array.from({ length }, (_, i) => sound(i))
  const every = (steps: number, from = 0) =>
    Array.from({ length: 32 / steps }, (_, n) => from + steps * n)
  const hits = [
    {
      at: fourToTheFloor ? every(4) : [0, 10, 16, 26],
      sound: drum(
        9000,
        (i) => 0.5 * Math.sin(60 * (1 - Math.exp(-i / 2200))) * Math.exp(-i / 3000),
      ),
    },
    { at: every(8, 4), sound: drum(6000, (i) => 0.25 * hiss(i) * Math.exp(-i / 1500)) },
    {
      at: every(2),
      sound: drum(2000, (i) => 0.08 * (hiss(i) - hiss(i + 1)) * Math.exp(-i / 500)),
    },
    {
      at: [2, 6, 11, 14, 18, 22, 27, 30],
      sound: drum(
        5000,
        (i) => 0.15 * Math.sin((2 * Math.PI * 55 * i) / RATE) * Math.exp(-i / 2500),
      ),
    },
  ]
  const music = silence(samples)
  for (const { at, sound } of hits)
    for (let bars = 0; bars * sixteenth < samples; bars += 32)
      for (const step of at) addHit(music, (bars + step) * sixteenth, sound)
  return music
}

/** Chords of two seconds each, again and again, every note with a few overtones; notes as MIDI numbers. */
export function chords(samples: number, progression: readonly (readonly number[])[]): Channel {
  const fading = Float64Array.from({ length: 2 * RATE }, (_, i) => Math.exp(-i / RATE))
  const once = progression.map((notes, nth) => {
    const chord = silence(2 * RATE)
    for (const note of notes)
      for (const overtone of [1, 2, 3]) {
        const turn = (2 * Math.PI * overtone * 440 * 2 ** ((note - 69) / 12)) / RATE
        // As if all notes had been held from the first chord on.
        const phase = turn * nth * chord.length
        addTone(chord, {
          turn,
          phase,
          amplitude: 0.15 / overtone / Math.max(1, notes.length / 3),
        })
      }
    return chord.map((x, i) => x * (fading[i] as number))
  })
  return looped(joined(...once), samples)
}

/** The progression I–IV–V–I in major, i–iv–v–i with the minor's own seventh, around middle C. */
export function cadence(
  samples: number,
  pitchClass: number,
  scale: 'major' | 'minor',
): Channel {
  const third = scale === 'major' ? 4 : 3
  const triad = (root: number) => [root - 12, root, root + third, root + 7]
  const tonic = 54 + ((pitchClass - 54 + 120) % 12)
  const roots = [tonic, tonic + 5, tonic + 7, tonic]
  return chords(samples, roots.map(triad))
}

/**
 * Left and right of something like a club track: a kick on each beat, a hat between, a bass line
 * and a pad of the given key (A minor by default), so that tempo, key and transients are all there from the start.
 */
export function club(
  samples: number,
  { bpm = 128, rate = RATE, tonicHz = 55 } = {},
): [Channel, Channel] {
  const beat = (60 * rate) / bpm
  const drum = (sound: (seconds: number, i: number) => number) =>
    Float64Array.from({ length: Math.ceil(beat) }, (_, i) => sound(i / rate, i))
  const kick = drum(
    (t) =>
      0.45 * Math.exp(-9 * t) * Math.sin(2 * Math.PI * (48 * t + 6 * (1 - Math.exp(-40 * t)))),
  )
  const hat = drum((t, i) => Math.exp(-60 * t) * random(7, i))
  // The kick ducks all that is held, as dance music does.
  const ducked = drum((t) => 1 - Math.exp(-8 * t))
  const progression = [
    [0, 3, 7],
    [-4, 0, 3],
    [3, 7, 10],
    [-2, 2, 5],
  ]
  const side = (detune: number, hatGain: number) => {
    const music = silence(samples)
    for (let nth = 0; 4 * nth * beat < samples; nth++) {
      const [from, to] = [4 * nth * beat, 4 * (nth + 1) * beat].map(Math.ceil)
      const chord = progression[nth % progression.length] ?? []
      const hold = (semitones: number, octave: number, amplitude: number) => {
        const turn = (2 * Math.PI * tonicHz * octave * 2 ** (semitones / 12)) / rate
        addTone(music.subarray(from, to), { turn, phase: turn * (from ?? 0), amplitude })
      }
      hold(chord[0] ?? 0, 1, 0.16)
      for (const semitones of chord) hold(semitones, 4 * detune, 0.06)
    }
    for (let nth = 0; nth * beat < samples; nth++) {
      const start = Math.ceil(nth * beat)
      const end = Math.min(samples, Math.ceil((nth + 1) * beat))
      for (let i = start; i < end; i++)
        music[i] = (music[i] as number) * (ducked[i - start] as number)
      addHit(music.subarray(0, end), start, kick)
      addHit(music, start + beat / 2, gained(hatGain, hat))
    }
    return music
  }
  return [side(0.999, 0.12), side(1.001, 0.09)]
}

/** As many samples of it as are wanted, again and again. */
export function looped(channel: Channel, samples: number): Channel {
  const long = silence(samples)
  for (let at = 0; at < samples; at += channel.length)
    long.set(channel.subarray(0, Math.min(channel.length, samples - at)), at)
  return long
}

/** One after the other. */
export function joined(...channels: readonly Channel[]): Channel {
  const long = silence(channels.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const channel of channels) {
    long.set(channel, at)
    at += channel.length
  }
  return long
}

/** All at once, as long as the first. */
export function mixed(...channels: readonly [Channel, ...Channel[]]): Channel {
  const sum = channels[0].slice()
  for (const channel of channels.slice(1))
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (channel[i] ?? 0)
  return sum
}

export function gained(gain: number, channel: Channel): Channel {
  return channel.map((x) => gain * x)
}

/** Adds a tone; `turn` in radians a sample. */
function addTone(
  channel: Channel,
  { turn, amplitude, phase }: Readonly<Record<'turn' | 'amplitude' | 'phase', number>>,
): void {
  // A sine is taken of the first sample of a block only: each next sample is the last one, turned.
  const [right, up] = [Math.cos(turn), Math.sin(turn)]
  for (let start = 0; start < channel.length; start += BLOCK) {
    const end = Math.min(channel.length, start + BLOCK)
    const angle = (phase + turn * start) % (2 * Math.PI)
    let [x, y] = [amplitude * Math.cos(angle), amplitude * Math.sin(angle)]
    for (let i = start; i < end; i++) {
      channel[i] = (channel[i] as number) + y
      const turned = x * right - y * up
      y = x * up + y * right
      x = turned
    }
  }
}

/** Samples until rounding errors are forgotten: by then they are below 1e-12. */
const BLOCK = 4096

/** Adds a sound that begins with the first sample not before `at`. */
function addHit(channel: Channel, at: number, sound: Channel): void {
  const start = Math.ceil(at)
  const end = Math.min(channel.length, start + sound.length)
  for (let i = start; i < end; i++)
    channel[i] = (channel[i] as number) + (sound[i - start] as number)
}
