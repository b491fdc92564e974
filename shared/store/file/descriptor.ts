import { type BigIntStats, close, fstat, fsync, open, read, write } from 'node:fs'
import { promisify } from 'node:util'

// Bare descriptors, because a `FileHandle` is one more object of Node's for each opening, and these are many.

/** Opens a file and returns its descriptor, which the caller has to close. */
export const openFile: (path: string, flags: number | string) => Promise<number> =
  promisify(open)
/** Closes a descriptor whose file system may have to be asked. */
export const closeFile: (descriptor: number) => Promise<void> = promisify(close)

/** Makes what a descriptor holds durable. */
export function syncFile(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(descriptor, (error) => (error ? reject(error) : resolve()))
  })
}

/** The metadata of what a descriptor holds. */
export function fileStat(descriptor: number): Promise<BigIntStats> {
  return new Promise((resolve, reject) => {
    fstat(descriptor, { bigint: true }, (error, stat) =>
      error ? reject(error) : resolve(stat),
    )
  })
}

/**
 * Reads up to `length` bytes from byte `from` of a file to byte `at` of `target`.
 * @returns how many there were; 0 at the end of the file
 */
export function readFrom(
  descriptor: number,
  target: Uint8Array,
  { at, length, from }: { readonly at: number; readonly length: number; readonly from: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, target, at, length, from, (error, count) =>
      error ? reject(error) : resolve(count),
    )
  })
}

/** Writes bytes at the place where the last write ended. */
export async function writeAll(descriptor: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += await written(descriptor, bytes, at)
}

function written(descriptor: number, bytes: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, at, bytes.length - at, null, (error, count) =>
      error ? reject(error) : resolve(count),
    )
  })
}
