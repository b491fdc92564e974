import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { openStore } from '#shared/store/open.ts'
import { startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { type Candidate, storeConformance } from '../../conformance/store.ts'

const candidates: readonly Candidate[] = [
  {
    title: 'file:///',
    async open(t) {
      const root = await mkdtemp(join(tmpdir(), 'store-'))
      t.teardown(() => rm(root, { recursive: true, force: true }))
      const uri = pathToFileURL(join(root, 'objects')).href
      return {
        store: openStore(uri),
        again: openStore(uri),
        async replace(name, bytes) {
          await writeFile(join(root, 'new'), bytes)
          await rename(join(root, 'new'), join(root, 'objects', name))
        },
      }
    },
  },
  {
    title: 'gs://',
    async open(t) {
      const server = await startGcsServer('bucket')
      t.teardown(() => server.close())
      server.pageSize = 7
      server.put('bucket', 'elsewhere/x', Buffer.from('not below the prefix'))
      const settings = { apiEndpoint: server.endpoint }
      return {
        store: openStore('gs://bucket/some/where', settings),
        again: openStore('gs://bucket/some/where/', { ...settings }),
        async replace(name, bytes) {
          server.put('bucket', `some/where/${name}`, bytes)
        },
      }
    },
  },
]

for (const candidate of candidates) await storeConformance(t, candidate)
