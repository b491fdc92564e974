/** Writes into a program's input as fast as the program reads, until it stops reading or has got `most` bytes. */
export async function feedInto(
  stdin: NodeJS.WritableStream & { readonly destroyed: boolean },
  feed: AsyncIterable<Uint8Array>,
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  let bytes = 0
  for await (const piece of feed) {
    if (stdin.destroyed || bytes > most) break
    bytes += piece.length
    if (!stdin.write(piece)) await writable(stdin)
  }
  stdin.end()
}

function writable(stream: NodeJS.WritableStream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = () => {
    for (const event of ['drain', 'close', 'error']) stream.removeListener(event, done)
    resolve()
  }
  for (const event of ['drain', 'close', 'error']) stream.once(event, done)
  return promise
}
