import { pitchClassOf } from '#shared/audio/musical-keys.ts'
import type { TrackStatus } from '#shared/catalogue/tracks/read-tracks.ts'
import { LIKELY } from '#shared/contracts/likely.ts'

/** What the catalogue knows about a track and a tag can express. Unknown values are left out. */
export interface Tags {
  readonly asset_guid: string
  readonly title?: string
  readonly artist?: string
  /** Beats per minute, to 0.01. Left out when it is unlikely. */
  readonly bpm?: number
  /** The key in the notation of ID3v2: `Am`, `F#`, `Eb`. Left out when it is unlikely. */
  readonly key?: string
  /** The gain that brings the track to −18 LUFS (ReplayGain 2.0), dB. */
  readonly gain?: number
  /** The true peak of the waveform, between samples too; 1 is full scale. */
  readonly peak?: number
}

const REFERENCE_LUFS = -18

/** The tags of a track, from the results of its assets. */
export function tagsOf({
  track,
  names,
  assets,
}: Pick<TrackStatus, 'track' | 'names' | 'assets'>): Tags {
  const results = new Map<string, Record<string, unknown>>()
  // The assets are sorted by version, so the newest result of each asset wins.
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

/** Whether a result is likely enough for a tag. A tag cannot express doubt, and DJ software mixes by it. */
function isLikely(confidence: unknown): boolean {
  return typeof confidence !== 'number' || confidence >= LIKELY
}

/** The tags that have no standard field in a kind of file, by the names under which players look for them. */
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

/** Rounds to 0.01, without trailing zeros. */
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
