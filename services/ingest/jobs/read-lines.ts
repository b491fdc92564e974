/** A line of a stream, without its line end. */
export interface Line {
  /** The number of the line, from 1. */
  readonly number: number
  /** The bytes of the line, or null when it was longer than the limit and was skipped. */
  readonly bytes: Uint8Array | null
}

/** Maximum number of lines of a chunk that are scanned in one go, empty ones included. */
const MAX_PASSED = 2000
const LF = 10
const CR = 13

/**
 * Yields the lines of a stream in groups of at most `most`, each as soon as it has arrived, so that a client
 * that waits for the answer to its last line gets it. Empty lines are counted but left out. After 2,000 lines
 * without a full group a group is yielded even if it is empty, so that the reader can let other work run. Holds
 * at most one line and one chunk.
 * @param options.longest maximum length of a line, bytes
 */
export async function* lines(
  chunks: AsyncIterable<Uint8Array>,
  { most, longest }: { readonly most: number; readonly longest: number },
): AsyncGenerator<readonly Line[], void, undefined> {
  let number = 0
  let held: Uint8Array[] = []
  let heldBytes = 0
  let isTooLong = false

  function ended(rest: Uint8Array): Line | undefined {
    number++
    const tooLong = isTooLong || heldBytes + rest.length > longest
    const whole = tooLong
      ? null
      : trimmed(held.length === 0 ? rest : Buffer.concat([...held, rest]))
    held = []
    heldBytes = 0
    isTooLong = false
    return whole === null || whole.length > 0 ? { number, bytes: whole } : undefined
  }

  for await (const chunk of chunks) {
    let group: Line[] = []
    let from = 0
    let passed = 0
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      const line = ended(chunk.subarray(from, at))
      from = at + 1
      if (line !== undefined) group.push(line)
      if (group.length < most && ++passed < MAX_PASSED) continue
      yield group
      group = []
      passed = 0
    }
    if (group.length > 0) yield group
    const rest = chunk.subarray(from)
    if (isTooLong || heldBytes + rest.length > longest) {
      isTooLong = true
      held = []
      heldBytes = 0
    } else if (rest.length > 0) {
      held.push(rest)
      heldBytes += rest.length
    }
  }
  if (heldBytes === 0 && !isTooLong) return
  const last = ended(new Uint8Array(0))
  if (last !== undefined) yield [last]
}

function trimmed(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && (bytes[end - 1] === CR || bytes[end - 1] === 32 || bytes[end - 1] === 9))
    end--
  return bytes.subarray(0, end)
}
