import { buffer } from 'node:stream/consumers'
import type { Streamed } from '#shared/assets/definition.ts'

/** A file that was rendered, whole. */
export async function bytesOf(file: Uint8Array | Streamed | undefined): Promise<Buffer> {
  if (file === undefined) throw new Error('no such file')
  return file instanceof Uint8Array ? Buffer.from(file) : buffer(file)
}
