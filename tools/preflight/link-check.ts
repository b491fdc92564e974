import type { ObjectName } from '#shared/contracts/names.ts'
import { openStore, type StoreOptions } from '#shared/store/open.ts'
import type { Check } from './check.ts'

/** Checks that this identity can sign addresses of assets. Undefined where the store has none, and ingest signs its own. */
export function linkCheck(uri: string, options: StoreOptions): Check | undefined {
  const store = openStore(uri, options)
  if (store.link === undefined) return undefined
  const check = 'links'
  const remedy =
    "grant roles/iam.serviceAccountTokenCreator on ingest's account to that account itself, and enable iamcredentials.googleapis.com; without it links to assets are answered 503"
  return {
    name: check,
    remedy,
    async run(signal) {
      const what = { contentType: 'text/plain', disposition: 'inline', expiresInSeconds: 1 }
      await store.link?.('preflight/probe' as ObjectName, { ...what, signal })
      return [{ check, state: 'ok', found: 'can sign addresses of assets' }]
    },
  }
}
