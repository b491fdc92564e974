import type { BigIntStats, Stats } from 'node:fs'
import { StoreError } from '../../contracts/errors/store.ts'
import { digest, type ObjectName, type Revision } from '../../contracts/names.ts'
import type { ObjectStat } from '../driver/driver.ts'

/** The metadata of an object, from the stat of its regular file. */
export function objectStat(name: ObjectName, file: BigIntStats): ObjectStat {
  return { name, bytes: Number(file.size), revision: fileRevision(file), modified: file.mtime }
}

/** `f` and a digest of size, mtime (ns) and inode. It changes whenever the bytes do, but for rare exceptions. */
export function fileRevision(file: BigIntStats): Revision {
  return `f${digest([file.size, file.mtimeNs, file.ino].map(String))}` as Revision
}

/** The error for something that is not a regular file. Its path is in the cause, which only the log shows. */
export function notRegular(path: string, found: Stats | BigIntStats): StoreError {
  return new StoreError('not-regular', `${kind(found)} lies where a regular file should be`, {
    cause: new Error(path),
  })
}

function kind(found: Stats | BigIntStats): string {
  if (found.isDirectory()) return 'a directory'
  if (found.isFIFO()) return 'a FIFO'
  if (found.isSocket()) return 'a socket'
  if (found.isCharacterDevice() || found.isBlockDevice()) return 'a device'
  return 'something else'
}
