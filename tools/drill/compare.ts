/** An output of a chain: its name, and its content or a digest of that. */
export interface Entry {
  readonly key: string
  readonly value: string
}

/** The outcome of a track. */
export interface Outcome {
  /** `done`, `partial` or `failed`; with any other state the track has not ended. */
  readonly state: string
  readonly rows: readonly Entry[]
  /** Files of assets: name and digest. */
  readonly assets: readonly Entry[]
  /** Announcements, one for each id. */
  readonly published: readonly Entry[]
  /** Dead letters, one for each content. */
  readonly letters: readonly Entry[]
}

export type Outcomes = ReadonlyMap<string, Outcome>

export interface Comparison {
  /** Tracks that have not ended, or whose end was not announced. */
  readonly lost: number
  /** Tracks whose outcome differs from the expected one. */
  readonly wrong: number
  /** Number of surplus copies of outputs that must exist once. */
  readonly duplicates: {
    readonly rows: number
    readonly assets: number
    readonly published: number
  }
  /** A sentence for each of these. */
  readonly findings: readonly string[]
}

const ENDED: readonly string[] = ['done', 'partial', 'failed']

/** Compares the outcomes of tracks with the expected ones. */
export function compare(expected: Outcomes, found: Outcomes): Comparison {
  const findings: string[] = []
  const duplicates = { rows: 0, assets: 0, published: 0 }
  const lost = new Set<string>()
  const wrong = new Set<string>()
  for (const [track, should] of expected) {
    const is = found.get(track)
    if (is === undefined || !ENDED.includes(is.state) || is.published.length === 0) {
      lost.add(track)
      findings.push(`${track} is lost: ${is?.state ?? 'no trace of it'}`)
      continue
    }
    const say = (sentence: string) => {
      wrong.add(track)
      findings.push(`${track}: ${sentence}`)
    }
    if (is.state !== should.state) say(`it is ${is.state} instead of ${should.state}`)
    for (const kind of ['rows', 'assets', 'published', 'letters'] as const) {
      const { missing, other, extra } = differences(should[kind], is[kind])
      for (const key of missing) say(`of its ${kind} ${key} is missing`)
      for (const key of other) say(`of its ${kind} ${key} is another`)
      for (const key of extra) {
        if (kind === 'letters') say(`there is a dead letter: ${key}`)
        else {
          duplicates[kind]++
          findings.push(`${track}: of its ${kind} ${key} is one too many`)
        }
      }
    }
  }
  for (const track of found.keys()) {
    if (expected.has(track)) continue
    wrong.add(track)
    findings.push(`${track} should not be there`)
  }
  return { lost: lost.size, wrong: wrong.size, duplicates, findings }
}

/** Keys that are missing, that have another value, and that are surplus. */
function differences(
  expected: readonly Entry[],
  found: readonly Entry[],
): Record<'missing' | 'other' | 'extra', readonly string[]> {
  const left = [...found]
  const take = (isWanted: (entry: Entry) => boolean) => {
    const index = left.findIndex(isWanted)
    return index < 0 ? undefined : left.splice(index, 1)[0]
  }
  // Equal entries are matched first, so that a surplus copy with another value is not taken for the expected one.
  const unequal = expected.filter(
    ({ key, value }) => !take((entry) => entry.key === key && entry.value === value),
  )
  const [missing, other]: [string[], string[]] = [[], []]
  for (const { key } of unequal) {
    const isThere = take((entry) => entry.key === key) !== undefined
    if (isThere) other.push(key)
    else missing.push(key)
  }
  return { missing, other, extra: left.map(({ key }) => key) }
}
