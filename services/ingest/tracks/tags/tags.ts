import { pitchClassOf } from '#shared/audio/musical-keys.ts'
import type { TrackStatus } from '#shared/catalogue/jobs/jobs.ts'
import { LIKELY } from '#shared/contracts/api/job.ts'

/** What the catalogue knows of a track that a tag can say; what it does not know is left out. */
export interface Tags {
  readonly asset_guid: string
  readonly title?: string
  readonly artist?: string
  /** Beats per minute, to 0.01; where it is likely. */
  readonly bpm?: number
  /** As ID3v2 has it: `Am`, `F#`, `Eb`; where it is likely. */
  readonly key?: string
  /** What to turn a player by for −18 LUFS (ReplayGain 2.0), dB. */
  readonly gain?: number
  /** Of the waveform, between samples too; 1 is full scale. */
  readonly peak?: number
}

const REFERENCE_LUFS = -18

/** The tags of a track, from the results of those of its assets that were made. */
export function tagsOf({
  track,
  names,
  assets,
}: Pick<TrackStatus, 'track' | 'names' | 'assets'>): Tags {
  const results = new Map<string, Record<string, unknown>>()
  // By asset and version: the newest that was made stays.
  for (const asset of assets) {
    if (asset.state !== 'made' || typeof asset.result !== 'object') continue
    results.set(asset.asset, { ...asset.result })
  }
  const { bpm, confidence: ofTempo } = results.get('bpm') ?? {}
  const { tonic, scale, confidence: ofKey } = results.get('key') ?? {}
  const { integrated, truePeak } = results.get('loudness') ?? {}
  return {
    asset_guid: track,
    ...names,
    ...(typeof bpm === 'number' && isLikely(ofTempo) ? { bpm } : {}),
    ...(isNote(tonic) && isLikely(ofKey)
      ? { key: `${tonic}${scale === 'minor' ? 'm' : ''}` }
      : {}),
    ...(typeof integrated === 'number' ? { gain: REFERENCE_LUFS - integrated } : {}),
    ...(typeof truePeak === 'number' ? { peak: 10 ** (truePeak / 20) } : {}),
  }
}

/** A tag has no room for a doubt, and DJ software mixes by it: what is unlikely is left out. */
function isLikely(confidence: unknown): boolean {
  return typeof confidence !== 'number' || confidence >= LIKELY
}

/** The tags that have no place of their own in some kind of file, by the names under which players look for them. */
export function namedTags({
  asset_guid,
  bpm,
  key,
  gain,
  peak,
}: Tags): ReadonlyMap<NamedTag, string> {
  const named = new Map<NamedTag, string>()
  if (bpm !== undefined) named.set('bpm', exact(bpm))
  if (key !== undefined) named.set('initialkey', key)
  if (gain !== undefined) {
    named.set('replaygain_track_gain', `${gain > 0 ? '+' : ''}${gain.toFixed(2)} dB`)
  }
  if (peak !== undefined) named.set('replaygain_track_peak', peak.toFixed(6))
  return named.set('asset_guid', asset_guid)
}

type NamedTag =
  | 'bpm'
  | 'initialkey'
  | 'replaygain_track_gain'
  | 'replaygain_track_peak'
  | 'asset_guid'

/** To 0.01, without zeros that say nothing. */
function exact(bpm: number): string {
  return String(Math.round(bpm * 100) / 100)
}

function isNote(tonic: unknown): tonic is string {
  if (typeof tonic !== 'string') return false
  try {
    return pitchClassOf(tonic) >= 0
  } catch {
    return false
  }
}
