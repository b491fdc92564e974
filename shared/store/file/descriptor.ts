import { type BigIntStats, close, fstat, open, read } from 'node:fs'
import { promisify } from 'node:util'

// Bare descriptors: a `FileHandle` costs about as much again as what is done with it.

/** Opens a file and returns its descriptor, which the caller has to close. */
export const openFile: (path: string, flags: number) => Promise<number> = promisify(open)
/** Closes a descriptor whose file system may have to be asked. */
export const closeFile: (descriptor: number) => Promise<void> = promisify(close)

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
