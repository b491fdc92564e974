/** One small fault that is put into the source on purpose, and the tests that must fail because of it. */
export interface Mutant {
  /** The file, from the root of the project. */
  readonly file: string
  /** The rule that is broken, in words: what goes wrong for the users of the chain. */
  readonly breaks: string
  /** A piece of the source that occurs there exactly once. */
  readonly from: string
  readonly to: string
  /** The test files of which at least one has to fail, the quickest first. */
  readonly tests: readonly string[]
  /** Why no test can fail because of it. It is tried all the same, and counts as survived. */
  readonly unnoticed?: string
}

type Given = Pick<Mutant, 'breaks' | 'from' | 'to'> &
  Partial<Pick<Mutant, 'tests' | 'unnoticed'>>

/** The mutants of one file. One of `tests` must fail, unless a mutant names other tests. */
export function mutantsOf(
  file: string,
  tests: readonly string[],
  given: readonly Given[],
): readonly Mutant[] {
  return given.map((each) => ({ file, tests, ...each }))
}

/** The source with the fault in it. @throws Error when the list no longer fits the source. */
export function mutated(source: string, { file, from, to }: Mutant): string {
  const found = source.split(from).length - 1
  if (found !== 1) throw new Error(`${file} has this ${found} times, not once: ${from}`)
  if (from === to) throw new Error(`${file}: nothing is changed: ${from}`)
  // A function, because `$&` has a meaning in a replacement text.
  return source.replace(from, () => to)
}
