import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

/** The sha256 of a file, 64 hexadecimal digits. @throws when it can't be read; whatever `signal` is aborted with. */
export async function sha256OfFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const options = { highWaterMark: 1 << 20, ...(signal && { signal }) }
  for await (const chunk of createReadStream(path, options)) hash.update(chunk)
  return hash.digest('hex')
}

/** The sha256 of a text: stands for the content of a master that nobody here has read, when it is of its URI. */
export function sha256OfText(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
