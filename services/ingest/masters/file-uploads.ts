import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { uploadUri } from '#shared/contracts/uploads.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { TEMPORARY } from '#shared/store/driver/object-name.ts'
import { fileRoot } from '#shared/store/file/root.ts'
import { resumableUploads } from './resumable-uploads.ts'
import { FINISHED, linkUpload, writeBody } from './upload-folder.ts'
import type { Incoming, KindOfUploads } from './uploads.ts'

/**
 * Uploads into a folder that replicas may share. A file under way has a name that the store treats as
 * temporary: it is never listed, and is removed when nothing has been written to it for a long time.
 */
export function fileUploads(folder: string, driver: StoreDriver): KindOfUploads {
  const place = { root: fileRoot(folder), driver }
  return {
    async receive(body, { mostBytes, signal }): Promise<Incoming> {
      await mkdir(folder, { recursive: true })
      const path = join(folder, `${TEMPORARY}${randomUUID()}`)
      const file = await open(path, 'wx')
      const hash = createHash('sha256')
      try {
        const bytes = await writeBody(file, body, {
          from: 0,
          mostBytes,
          signal,
          each: (chunk) => hash.update(chunk),
        })
        await file.chmod(FINISHED)
        await file.sync()
        await file.close()
        const sha256 = hash.digest('hex')
        return {
          sha256,
          bytes,
          keep: async (assetGuid) => {
            const stored = await linkUpload(place, path, { assetGuid, sha256, bytes })
            await rm(path, { force: true })
            return stored
          },
          discard: () => rm(path, { force: true }),
        }
      } catch (error) {
        await file.close().catch(() => {})
        await rm(path, { force: true })
        throw error
      }
    },
    resumable: resumableUploads(place),
    uri: uploadUri,
  }
}
