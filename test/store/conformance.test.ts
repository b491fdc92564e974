import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { fileStore } from '#shared/store/file.ts'
import { type Candidate, storeConformance } from '../conformance/store.ts'

const candidates: readonly Candidate[] = [
  {
    title: 'file',
    async open(t) {
      const root = await mkdtemp(join(tmpdir(), 'store-'))
      t.teardown(() => rm(root, { recursive: true, force: true }))
      return {
        store: fileStore(root),
        again: fileStore(root),
        async replace(name, bytes) {
          await writeFile(join(root, 'new'), bytes)
          await rename(join(root, 'new'), join(root, name))
        },
      }
    },
  },
]

for (const candidate of candidates) await storeConformance(t, candidate)
