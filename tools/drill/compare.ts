/** Something that a chain leaves behind: what it is called, and what it is. */
export interface Entry {
  readonly key: string
  readonly value: string
}

/** What a track has come to. */
export interface Outcome {
  /** `done`, `partial` or `failed`; anything else is no end. */
  readonly state: string
  readonly rows: readonly Entry[]
  /** Files of assets: name and digest. */
  readonly assets: readonly Entry[]
  /** Announcements, each id once. */
  readonly published: readonly Entry[]
  /** Each content once. */
  readonly letters: readonly Entry[]
}

export type Outcomes = ReadonlyMap<string, Outcome>

export interface Comparison {
  /** Tracks that have not come to their end, or whose end nobody was told. */
  readonly lost: number
  /** Tracks that came to another end than they should have. */
  readonly wrong: number
  /** Of what there should be one, how many more there are. */
  readonly duplicates: {
    readonly rows: number
    readonly assets: number
    readonly published: number
  }
  /** A sentence for each of these. */
  readonly findings: readonly string[]
}

const ENDED: readonly string[] = ['done', 'partial', 'failed']

/** Holds what tracks have come to against what they should have. */
export function compare(expected: Outcomes, found: Outcomes): Comparison {
  const findings: string[] = []
  const duplicates = { rows: 0, assets: 0, published: 0 }
  const lost = new Set<string>()
  const wrong = new Set<string>()
  for (const [track, should] of expected) {
    const is = found.get(track)
    if (is === undefined || !ENDED.includes(is.state) || is.published.length === 0) {
      lost.add(track)
      findings.push(`${track} is lost: ${is?.state ?? 'nobody has heard of it'}`)
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

/** Keys that are missing, that have another value, and that are there once more than they should be. */
function differences(
  expected: readonly Entry[],
  found: readonly Entry[],
): Record<'missing' | 'other' | 'extra', readonly string[]> {
  const left = [...found]
  const take = (isWanted: (entry: Entry) => boolean) => {
    const index = left.findIndex(isWanted)
    return index < 0 ? undefined : left.splice(index, 1)[0]
  }
  // Those that are equal first, lest a doubled one with another value is taken for the one.
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
