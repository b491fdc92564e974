import { type FileHandle, readdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { abortable } from '#shared/async/abort.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { uploadUri } from '#shared/contracts/uploads.ts'
import { type StoreDriver, sameBytes } from '#shared/store/driver/driver.ts'
import { linkOnce } from '#shared/store/file/create.ts'
import { type OpenFolder, openFolder } from '#shared/store/file/folder.ts'
import type { FileRoot } from '#shared/store/file/root.ts'
import type { Stored } from './uploads.ts'

export interface UploadFolder {
  readonly root: FileRoot
  readonly driver: StoreDriver
}

/** The file mode of a finished upload: read-only. */
export const FINISHED = 0o444

/**
 * Writes a body to a file from byte `from` on. What was written before an error stays.
 * @returns the position after the last byte
 * @throws HttpError TOO_LARGE beyond `mostBytes`
 */
export async function writeBody(
  file: FileHandle,
  body: AsyncIterable<Uint8Array>,
  {
    from,
    mostBytes,
    signal,
    each = () => {},
  }: {
    readonly from: number
    readonly mostBytes: number
    readonly signal?: AbortSignal | undefined
    readonly each?: ((chunk: Uint8Array) => void) | undefined
  },
): Promise<number> {
  let at = from
  for await (const chunk of abortable(body, signal)) {
    if (at + chunk.length > mostBytes) throw tooLarge(mostBytes)
    each(chunk)
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await file.write(chunk, done, chunk.length - done, at)
      done += bytesWritten
      at += bytesWritten
    }
  }
  return at
}

/**
 * Links a finished temporary file to its final name. Durable when this resolves.
 * @throws StoreError other-bytes when the file of that name has other bytes than its name says
 */
export async function linkUpload(
  { root }: UploadFolder,
  path: string,
  { assetGuid, sha256, bytes }: { assetGuid: string; sha256: string; bytes: number },
): Promise<Stored> {
  const folder = await openFolder(root, join(root.path, assetGuid))
  try {
    const linked = await linkOnce(root, path, folder.at(`${sha256}.upload`))
    const created = sameBytes(linked, uploadUri(assetGuid, sha256)) === 'created'
    if (!created) await makeLatest(folder, `${sha256}.upload`)
    await folder.sync()
    return {
      asset_guid: assetGuid,
      sha256,
      bytes,
      master_uri: uploadUri(assetGuid, sha256),
      created,
    }
  } finally {
    await folder.close()
  }
}

/** Makes an upload that was sent again the latest of its track, by its modification time. */
async function makeLatest(folder: OpenFolder, own: string): Promise<void> {
  const { mtimeMs } = await stat(folder.at(own))
  for (const name of await readdir(folder.path)) {
    if (!name.endsWith('.upload')) continue
    const other = await stat(folder.at(name)).catch(() => undefined)
    if (other === undefined || other.mtimeMs <= mtimeMs) continue
    const now = new Date()
    return await utimes(folder.at(own), now, now)
  }
}

export function tooLarge(mostBytes: number): HttpError {
  return new HttpError(
    'TOO_LARGE',
    `The master is larger than ${Math.floor(mostBytes / 1024 / 1024)} MiB, which is the limit.`,
  )
}

/** The refusal of a master without a single byte. @param what names it, for example `The file "x.wav"` */
export function emptyMaster(what: string, options?: { at: string }): PermanentError {
  const words = `${what} is empty (0 bytes); expected audio.`
  return new PermanentError('MASTER_UNREADABLE', words, options)
}

export function digestMismatch(expected: string, found: string): HttpError {
  return new HttpError(
    'DIGEST_MISMATCH',
    `The sha256 of what came is ${found}, announced was ${expected}.`,
  )
}
