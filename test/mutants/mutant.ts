/** One small fault that is put into the source on purpose, and who has to notice. */
export interface Mutant {
  /** The file, from the root of the project. */
  readonly file: string
  /** The rule that is broken, in words: what goes wrong for whoever uses the chain. */
  readonly breaks: string
  /** A piece of the source that occurs there exactly once. */
  readonly from: string
  readonly to: string
  /** The test files of which at least one has to fail, the quickest first. */
  readonly tests: readonly string[]
  /** Why no one could notice. It is tried all the same, and counts as survived. */
  readonly unnoticed?: string
}

type Given = Pick<Mutant, 'breaks' | 'from' | 'to'> &
  Partial<Pick<Mutant, 'tests' | 'unnoticed'>>

/** The mutants of one file. `tests` are those that have to notice, unless a mutant names others. */
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
  // A function: in a text, `$&` would mean something.
  return source.replace(from, () => to)
}
