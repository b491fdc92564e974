import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { isDamaged } from '#shared/contracts/errors/store.ts'
import { uploadName, uploadUri } from '#shared/contracts/uploads.ts'
import {
  type StoreDriver,
  sameBytes,
  type UploadSessions,
} from '#shared/store/driver/driver.ts'
import { digestMismatch, tooLarge, writeBody } from './upload-folder.ts'
import type { KindOfUploads, Stored } from './uploads.ts'

/**
 * Maximum size of an upload that passes through a temporary file of this machine, bytes. The file is needed
 * because an object is named by its sha256, which is known only after the last byte. Larger uploads announce
 * their digest, or go to Cloud Storage directly.
 */
const MAX_SPOOLED_BYTES = 256 * 1024 * 1024

/** Maximum number of such files at once. A pod's /tmp has room for this many. */
const MAX_SPOOLED = 12

/** Maximum number of attempts to send a temporary file that arrives damaged each time. */
const MAX_DAMAGED = 3

const CONTENT_TYPE = 'application/octet-stream'

/** Uploads into a store to which clients can upload directly, such as a bucket. */
export function storeUploads(driver: StoreDriver, sessions: UploadSessions): KindOfUploads {
  const spooled = new Set<string>()

  async function keep(
    guid: string,
    { sha256, bytes }: { sha256: string; bytes: () => number },
    body: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const created = await driver.create(uploadName(guid, sha256), body, {
      contentType: CONTENT_TYPE,
      ...(signal && { signal }),
    })
    return {
      asset_guid: guid,
      sha256,
      bytes: bytes(),
      master_uri: uploadUri(guid, sha256),
      created: sameBytes(created, uploadUri(guid, sha256)) === 'created',
    }
  }

  return {
    uri: uploadUri,
    async receive(body, { mostBytes, signal }) {
      const path = join(tmpdir(), `trackchain-${randomUUID()}.upload`)
      const discard = async () => {
        if (spooled.delete(path)) await rm(path, { force: true })
      }
      if (spooled.size >= MAX_SPOOLED) throw noRoom()
      spooled.add(path)
      const hash = createHash('sha256')
      let file: FileHandle | undefined
      try {
        file = await open(path, 'wx', 0o600)
        const bytes = await writeBody(file, body, {
          from: 0,
          mostBytes: Math.min(mostBytes, MAX_SPOOLED_BYTES),
          signal,
          each: (chunk) => hash.update(chunk),
        })
        await file.close()
        const sha256 = hash.digest('hex')
        return {
          sha256,
          bytes,
          discard,
          keep: async (guid, until) => {
            const known = { sha256, bytes: () => bytes }
            for (let attempt = 1; ; attempt++) {
              try {
                const stored = await keep(guid, known, createReadStream(path), until)
                await discard()
                return stored
              } catch (error) {
                if (!isDamaged(error) || attempt === MAX_DAMAGED) throw error
              }
            }
          },
        }
      } catch (error) {
        await file?.close().catch(() => {})
        await discard()
        throw error
      }
    },
    async receiveAs(guid, sha256, body, { mostBytes, signal, onWhole }) {
      let bytes = 0
      async function* verified() {
        const hash = createHash('sha256')
        for await (const chunk of body) {
          hash.update(chunk)
          bytes += chunk.length
          if (bytes > mostBytes) throw tooLarge(mostBytes)
          yield chunk
        }
        // Thrown before the store has received the end, so that no object is created.
        const found = hash.digest('hex')
        if (found !== sha256) throw digestMismatch(sha256, found)
        await onWhole?.()
      }
      return await keep(guid, { sha256, bytes: () => bytes }, verified(), signal)
    },
    async session(guid, { sha256, crc32c }, { origin, signal }) {
      const name = uploadName(guid, sha256)
      const there = await sessions.crc32cOf(name, { ...(signal && { signal }) })
      if (there === undefined) {
        const options = { contentType: CONTENT_TYPE, ...(crc32c && { crc32c }) }
        const until = { ...(origin && { origin }), ...(signal && { signal }) }
        return await sessions.url(name, { ...options, ...until })
      }
      const isSame = crc32c === undefined || crc32c === there
      sameBytes(isSame ? 'exists' : 'differs', uploadUri(guid, sha256))
      return undefined
    },
  }
}

function noRoom(): HttpError {
  return new HttpError(
    'TOO_MANY_REQUESTS',
    `${MAX_SPOOLED} masters without a digest are on their way; no other can begin now. Announce a sha256 (Repr-Digest), or come again.`,
  )
}
