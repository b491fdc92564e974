import { fileURLToPath } from 'node:url'
import { sha256In } from '#shared/contracts/uploads.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import type { GcsStore } from '#shared/store/gcs/gcs-store.ts'
import { latestUpload } from '#shared/store/latest-upload.ts'
import { storeUploads } from './cloud-uploads.ts'
import { fileUploads } from './file-uploads.ts'
import type { Uploads } from './uploads.ts'

/** Opens the uploads of a deployment, by the kind of its uploads store. */
export function openUploads(uri: string, driver: StoreDriver): Uploads {
  const uploads = uri.startsWith('file:')
    ? fileUploads(fileURLToPath(uri), driver)
    : storeUploads(driver as GcsStore)
  const never = new AbortController().signal
  return {
    ...uploads,
    latest: async (guid, signal = never) => {
      const found = await latestUpload(driver, guid, signal)
      return found && sha256In(found.name)
    },
  }
}
