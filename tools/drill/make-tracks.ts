import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { wavPart } from '#shared/audio/wav-part.ts'
import { requestIdFrom } from '#shared/contracts/names.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import type { MasterFile } from '../client/masters.ts'
import { type ClubTrack, clubTrack, writeFlac } from '../local/synth.ts'
import { between, type Random, seeded, shuffled } from './random.ts'

/** A track of a drill, and the request for it. */
export interface DrillTrack {
  readonly guid: string
  readonly requestId: string
  /** Whether it is an item of a campaign, whose id is then the request's: another one in each chain. */
  readonly isItem?: boolean
  /** Path of its master. */
  readonly path: string
}

export interface TracksWanted {
  readonly count: number
  readonly seed: number
  /** Mean length of the synthesised tracks, s. */
  readonly seconds: number
  /** Masters to use before any is synthesised. */
  readonly given: readonly MasterFile[]
  /** Where masters are written to. */
  readonly folder: string
  /** Prefix of the guids. */
  readonly prefix: string
  readonly signal: AbortSignal
}

type Stereo = Pick<ClubTrack, 'left' | 'right' | 'sampleRate'>

/** The length of a synthesised track differs from the mean by up to this share, either way. */
const SPREAD = 0.25
/** How much longer the track is that the others are cut from, s. */
const TO_CUT_FROM_SECONDS = 10
const FLAC_RATE = 48_000
/**
 * Every third synthesised track is a FLAC of 24 bits at 48 kHz, which has to be converted; the others are read in
 * place.
 */
const FLACS = 3

/** The masters of a drill: the given ones, or some of them when there are too many, then synthesised ones. */
export async function makeTracks(wanted: TracksWanted): Promise<readonly DrillTrack[]> {
  const { count, seed, seconds, given, folder, prefix, signal } = wanted
  const random = seeded(seed)
  const taken = shuffled(random, given).slice(0, count)
  const longest = seconds * (1 + SPREAD) + TO_CUT_FROM_SECONDS
  const [wav, flac] = [SAMPLE_RATE, FLAC_RATE].map((rate) => baseOf(random, rate, longest))
  const tracks: DrillTrack[] = []
  for (let n = 0; n < count; n++) {
    signal.throwIfAborted()
    const master = taken[n]
    const number = String(n + 1).padStart(4, '0')
    const guid = `${prefix}-${number}${master ? `-${master.guid.slice(0, 60)}` : ''}`
    const isFlac = n % FLACS === FLACS - 1
    const path = master?.path ?? join(folder, `${guid}.${isFlac ? 'flac' : 'wav'}`)
    if (master === undefined) {
      const track = cut(random, (isFlac ? flac : wav) as Stereo, seconds)
      if (isFlac) await writeFlac(track, path, signal)
      else await writeFile(path, wavPart(int16(track)))
    }
    tracks.push({ guid, path, requestId: requestIdFrom(`${seed}/${guid}`) })
  }
  return tracks
}

function baseOf(random: Random, sampleRate: number, seconds: number): Stereo {
  const bpm = Math.round(between(random, 96, 140) * 100) / 100
  return clubTrack({ bpm, sampleRate, bars: Math.ceil((seconds * bpm) / 60 / 4) })
}

/** Cuts a random stretch at a random level, so that no two tracks have the same bytes. */
function cut(random: Random, base: Stereo, seconds: number): Stereo {
  const { left, right, sampleRate } = base
  const length = Math.round(between(random, 1 - SPREAD, 1 + SPREAD) * seconds * sampleRate)
  const from = Math.floor(random() * (left.length - length))
  const level = between(random, 0.5, 1)
  const [l, r] = [left, right].map((side) =>
    side.slice(from, from + length).map((value) => value * level),
  )
  return { left: l as Float32Array, right: r as Float32Array, sampleRate }
}

function int16({ left, right }: Stereo): Int16Array {
  const samples = new Int16Array(2 * left.length)
  for (let i = 0; i < left.length; i++) {
    samples[2 * i] = Math.round((left[i] ?? 0) * 32_767)
    samples[2 * i + 1] = Math.round((right[i] ?? 0) * 32_767)
  }
  return samples
}
