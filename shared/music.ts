/** Names of the twelve pitch classes from C, as they are written in the keys that begin on them. */
const MAJOR = ['C', 'Db', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B'] as const
const MINOR = ['C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'G#', 'A', 'Bb', 'B'] as const

const NATURALS: Readonly<Record<string, number>> = {
  C: 0,
  D: 2,
  E: 4,
  F: 5,
  G: 7,
  A: 9,
  B: 11,
}

export type Scale = 'major' | 'minor'

/** A key in the notations that musicians and DJs use. */
export interface KeyName {
  readonly tonic: string
  readonly scale: Scale
  /** e.g. `Eb minor`. */
  readonly key: string
  /** e.g. `2A`. */
  readonly camelot: string
  /** e.g. `7m`. */
  readonly openKey: string
}

/**
 * Names a key. Of two spellings that sound the same it takes the one with fewer accidentals in
 * its signature (C# minor has four, Db minor would have eight); of the two that tie at six,
 * F# major and Eb minor, as DJ software writes them.
 * @param pitchClass 0 for C to 11 for B.
 */
export function keyName(pitchClass: number, scale: Scale): KeyName {
  const tonic = (scale === 'major' ? MAJOR : MINOR)[pitchClass]
  if (tonic === undefined) throw new RangeError(`${pitchClass} is no pitch class`)
  // Both wheels go round in fifths; a minor key shares the number of its relative major.
  const relative = scale === 'major' ? pitchClass : (pitchClass + 3) % 12
  const fifths = (relative * 7) % 12
  return {
    tonic,
    scale,
    key: `${tonic} ${scale}`,
    camelot: `${((fifths + 7) % 12) + 1}${scale === 'major' ? 'B' : 'A'}`,
    openKey: `${fifths + 1}${scale === 'major' ? 'd' : 'm'}`,
  }
}

/**
 * The pitch class of a note, 0 for C to 11 for B.
 * @param note A letter and any number of `#` or `b`, e.g. `Eb`. Throws RangeError at anything else.
 */
export function pitchClassOf(note: string): number {
  const natural = NATURALS[note.charAt(0)]
  if (natural === undefined || !/^[A-G](#*|b*)$/.test(note)) {
    throw new RangeError(`${note} is no note`)
  }
  const accidentals = note.length - 1
  return (natural + (note.endsWith('b') ? 12 - accidentals : accidentals) + 12) % 12
}
