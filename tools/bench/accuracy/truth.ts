import { pitchClassOf, type Scale } from '#shared/audio/musical-keys.ts'

/** The known tempo and key of one file. */
export interface Truth {
  readonly file: string
  readonly bpm?: number
  readonly key?: TrueKey
}

export interface TrueKey {
  /** The key as it was spelled, e.g. `A minor`. */
  readonly name: string
  /** The pitch class of the tonic, 0 for C to 11 for B. */
  readonly pitchClass: number
  readonly scale: Scale
}

/** A fault in the table, in one line, for the person who called the command. */
export class TruthError extends Error {
  override readonly name = 'TruthError'
}

const COLUMNS = ['file', 'seconds', 'bpm', 'key'] as const

/**
 * Reads a table of tab-separated values with a heading, whose columns are found by name: `file`, `seconds`,
 * `bpm` and `key`, the last two `-` where nothing is known. More columns are ignored.
 * @throws TruthError naming the line when the table is not that.
 */
export function readTruth(text: string): readonly Truth[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const heading = (lines[0] ?? '').split('\t').map((name) => name.trim())
  for (const name of COLUMNS) {
    if (!heading.includes(name)) throw new TruthError(`truth.tsv has no column "${name}"`)
  }
  const seen = new Set<string>()
  return lines.flatMap((line, i) => {
    if (i === 0 || line.trim() === '') return []
    const cells = line.split('\t')
    const cell = (name: string) => cells[heading.indexOf(name)]?.trim() ?? ''
    const fault = (what: string) => new TruthError(`truth.tsv, line ${i + 1}: ${what}`)
    const file = cell('file')
    if (file === '') throw fault('no file')
    if (seen.has(file)) throw fault(`${file} is there twice`)
    seen.add(file)
    const bpm = numberOf('bpm')
    numberOf('seconds')
    const key = cell('key') === '-' ? undefined : keyOf(cell('key'))
    if (key === null) throw fault(`key "${cell('key')}" is neither - nor like "A minor"`)
    return [{ file, ...(bpm !== undefined && { bpm }), ...(key && { key }) }]

    function numberOf(name: string): number | undefined {
      const value = cell(name)
      if (value === '-') return undefined
      const number = Number(value)
      if (value !== '' && Number.isFinite(number) && number > 0) return number
      throw fault(`${name} "${value}" is neither - nor a number above 0`)
    }
  })
}

/** The key of a name; null when it is no key. Any spelling of the tonic is accepted: `C#`, `Db`, `B##`. */
function keyOf(name: string): TrueKey | null {
  const [, letter = '', accidentals = '', scale] =
    /^([A-Ga-g])([#♯]*|[b♭]*)[ :-]?\s*(major|minor|maj|min)$/i.exec(name) ?? []
  if (scale === undefined) return null
  const note = `${letter.toUpperCase()}${accidentals.replaceAll('♯', '#').replaceAll('♭', 'b')}`
  return {
    name,
    pitchClass: pitchClassOf(note),
    scale: /^maj/i.test(scale) ? 'major' : 'minor',
  }
}
