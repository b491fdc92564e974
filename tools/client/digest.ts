import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

/**
 * The sha256 of a file, 64 hexadecimal digits.
 * @throws when it can't be read; the reason of `signal` when it is aborted.
 */
export async function sha256OfFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const options = { highWaterMark: 1 << 20, ...(signal && { signal }) }
  for await (const chunk of createReadStream(path, options)) hash.update(chunk)
  return hash.digest('hex')
}

/**
 * The sha256 of a text, 64 hexadecimal digits. That of a URI stands for the content of a master that was not read here.
 */
export function sha256OfText(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
