/**
 * Yields the same bytes in pieces of whole numbers of `width` bytes each. Each piece is a copy with aligned
 * memory.
 * @throws Error when the last number is incomplete
 */
export async function* wholeNumbers(
  pieces: AsyncIterable<Uint8Array>,
  width: number,
): AsyncGenerator<Buffer<ArrayBuffer>> {
  let rest = new Uint8Array(0)
  for await (const piece of pieces) {
    const length = rest.length + piece.length
    const whole = length - (length % width)
    const joined = Buffer.alloc(length)
    joined.set(rest)
    joined.set(piece, rest.length)
    rest = Uint8Array.from(joined.subarray(whole))
    yield joined.subarray(0, whole)
  }
  if (rest.length > 0) throw new Error(`${rest.length} bytes of a number are missing`)
}
