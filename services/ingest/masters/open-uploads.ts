import { sha256In } from '#shared/contracts/uploads.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { latestUpload } from '#shared/store/latest-upload.ts'
import { storeUploads } from './cloud-uploads.ts'
import { fileUploads } from './file-uploads.ts'
import type { Uploads } from './uploads.ts'

/** Opens the uploads of a deployment, in the way that its uploads store takes them. @throws Error when it takes none. */
export function openUploads(driver: StoreDriver): Uploads {
  const { uploads: means } = driver
  if (means === undefined) throw new Error('this store takes no uploads')
  const uploads =
    means.kind === 'folder' ? fileUploads(means.folder, driver) : storeUploads(driver, means)
  const never = new AbortController().signal
  return {
    ...uploads,
    latest: async (guid, signal = never) => {
      const found = await latestUpload(driver, guid, signal)
      return found && sha256In(found.name)
    },
  }
}
