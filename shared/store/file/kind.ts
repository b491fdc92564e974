import type { StoreDriver } from '../driver/driver.ts'
import type { StoreKind } from '../driver/kind.ts'
import { fileStore } from './file-store.ts'

/** Without prefixes each folder of a catalogue is a root. Remembering them all would be a memory leak. */
const MAX_FOLDERS = 100

/** Folders of a file system, local or NFS: `file:///folder`. Names are percent-decoded. */
export const files: StoreKind<unknown> = {
  form: 'file:///…',
  crossesWan: false,
  pathOf(authority, segments, refuse) {
    if (authority !== '') refuse('file:// takes no host: write file:///folder')
    return segments.map((segment) => decoded(segment, refuse))
  },
  fileName(segment) {
    try {
      return decodeURIComponent(segment)
    } catch {
      return segment
    }
  },
  rootOf: (place) => ({ ...place, path: place.path.slice(0, -1) }),
  opener() {
    const folders = new Map<string, StoreDriver>()
    return ({ path: segments }) => {
      const path = `/${segments.join('/')}`
      const store = folders.get(path) ?? fileStore(path)
      if (folders.size < MAX_FOLDERS) folders.set(path, store)
      return store
    }
  },
}

function decoded(segment: string, refuse: (why: string) => never): string {
  if (/[?#]/.test(segment)) refuse('write ? as %3F and # as %23')
  let text: string
  try {
    text = decodeURIComponent(segment)
  } catch {
    return refuse('a % must begin an escape: write it as %25')
  }
  if (text.includes('/')) refuse('a slash is escaped')
  return text
}
