import type { Readable } from 'node:stream'
import { StoreError } from '../../contracts/errors/store.ts'
import type { ReadOptions } from '../driver/driver.ts'
import { cutRange } from '../driver/range.ts'
import { pullStream, type Source } from '../driver/read-stream.ts'
import { closeFile, fileStat, openFile, readFrom } from './descriptor.ts'
import { type FileRoot, READING } from './root.ts'
import { fileRevision } from './stat.ts'

const CHUNK_BYTES = 256 * 1024

/**
 * Reads the bytes of a file. With `revision` the revision is checked when the file is opened, and again after the last
 * byte through a new descriptor, because an NFS client asks the server when a file is opened.
 * @throws StoreError not-found; changed, also as the stream's error; not-regular; out-of-bounds.
 */
export async function readFile(
  root: FileRoot,
  path: string,
  options: ReadOptions | undefined,
): Promise<Readable> {
  const opened = await openRevision(root, path, options)
  const { file, bytes } = opened
  try {
    const range = cutRange(options, bytes)
    return pullStream(
      bytesOf(file, path, range, () => verify(root, path, options?.revision)),
      CHUNK_BYTES,
      options?.signal,
    )
  } catch (error) {
    await closeFile(file)
    throw error
  }
}

/**
 * Fills `target` with the bytes from `start` on.
 * @throws as `readFile`; Error when the file ends before `target` is full.
 */
export async function readFileInto(
  root: FileRoot,
  path: string,
  target: Uint8Array,
  options: ReadOptions & { readonly start: number },
): Promise<void> {
  const { file } = await openRevision(root, path, options)
  try {
    for (let filled = 0; filled < target.length; ) {
      options.signal?.throwIfAborted()
      const at = options.start + filled
      const place = { at: filled, length: target.length - filled, from: at }
      const bytesRead = await readFrom(file, target, place)
      filled += bytesRead
      if (bytesRead > 0) continue
      await verify(root, path, options.revision)
      throw new Error(`${path} ends at byte ${at}, before ${options.start + target.length}`)
    }
    await verify(root, path, options.revision)
  } finally {
    await closeFile(file)
  }
}

/** Opens the file and checks its revision. @throws as `readFile`. */
async function openRevision(root: FileRoot, path: string, options: ReadOptions | undefined) {
  options?.signal?.throwIfAborted()
  const expected = options?.revision
  const opened = await openInside(root, path, expected !== undefined)
  if (!opened)
    throw expected === undefined
      ? new StoreError('not-found', `there is no ${path}`)
      : changed(path)
  const { file, found } = opened
  if (expected !== undefined && fileRevision(found) !== expected) {
    await closeFile(file)
    throw changed(path)
  }
  return { file, bytes: Number(found.size) }
}

/** @throws StoreError changed when the file at the path now has another revision, or is gone. */
async function verify(
  root: FileRoot,
  path: string,
  expected: string | undefined,
): Promise<void> {
  if (expected !== undefined && (await currentRevision(root, path)) !== expected)
    throw changed(path)
}

/** @param isFresh whether the metadata have to be those that the server of an NFS export has now */
async function openInside(root: FileRoot, path: string, isFresh: boolean) {
  const held = await root.file(path)
  if (!held) return undefined
  try {
    // Opened by the held descriptor, which has been checked, and not by the name, which may lead elsewhere by now.
    const file = await openFile(held.path, READING)
    try {
      return { file, found: isFresh ? await fileStat(file) : held.stat }
    } catch (error) {
      await closeFile(file)
      throw error
    }
  } finally {
    held.close()
  }
}

async function currentRevision(root: FileRoot, path: string): Promise<string | undefined> {
  const opened = await openInside(root, path, true)
  if (opened) await closeFile(opened.file)
  return opened && fileRevision(opened.found)
}

function bytesOf(
  file: number,
  path: string,
  range: { start: number; end: number },
  verify: () => Promise<void>,
): Source {
  let at = range.start
  const next = async (): Promise<Uint8Array | null> => {
    if (at >= range.end) {
      await verify()
      return null
    }
    const length = Math.min(CHUNK_BYTES, range.end - at)
    const buffer = Buffer.allocUnsafe(length)
    const bytesRead = await readFrom(file, buffer, { at: 0, length, from: at })
    if (bytesRead === 0) {
      await verify()
      throw new Error(`${path} ends at byte ${at}, before ${range.end}`)
    }
    at += bytesRead
    return buffer.subarray(0, bytesRead)
  }
  return { next, close: () => closeFile(file) }
}

function changed(path: string): StoreError {
  return new StoreError('changed', `${path} is not what it was when the run began`)
}
