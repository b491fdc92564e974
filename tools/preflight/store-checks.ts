import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, open, opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { ObjectName } from '#shared/contracts/names.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { kindOf } from '#shared/store/kinds.ts'
import { openStore, type StoreOptions } from '#shared/store/open.ts'
import type { Check, Finding } from './check.ts'
import type { Access } from './service-needs.ts'

const BYTES = Buffer.from('Trackchain looked whether it can keep objects here.\n')
const OTHER = Buffer.from('This must not replace what is there.\n')
/** The object that is left behind where a service may not remove any: always the same name and the same bytes. */
const KEPT = 'preflight/probe' as ObjectName
const ABSENT = 'preflight/absent' as ObjectName

const GRANTS: Readonly<Record<Access, string>> = {
  read: 'roles/storage.objectViewer',
  keep: 'roles/storage.objectCreator and roles/storage.objectViewer',
  use: 'roles/storage.objectUser',
}

/** Checks that this identity can do in a store what its service does there, and that nothing is overwritten. */
export function storeCheck(
  which: string,
  uri: string,
  needed: Access,
  options: StoreOptions,
): Check {
  const name = `${which} ${uri}`
  return {
    name,
    remedy: kindOf(uri)?.crossesWan
      ? `grant ${GRANTS[needed]} on the bucket to the service's identity`
      : `have the folder mounted, ${needed === 'read' ? 'readable' : 'writable'} for this user`,
    async run(signal) {
      const store = openStore(uri, options)
      const path = folderOf(store)
      if (path !== undefined) await checkFolder(path)
      const found = (said: string): Finding[] => [{ check: name, state: 'ok', found: said }]
      if (needed === 'read') {
        await read(store, signal)
        return found('can be read')
      }
      if (needed === 'keep') {
        await keep(store, KEPT, signal)
        return found('creates, reads, lists; refuses to overwrite')
      }
      const folder = `preflight/${randomUUID()}/`
      try {
        const probe = `${folder}probe` as ObjectName
        await keep(store, probe, signal)
        await removed(store, probe, signal)
      } finally {
        // A file store still has the folder; another store may have objects of a check that was cut off.
        await store.removeAll(folder).catch(() => {})
      }
      return found('creates, reads, lists, removes; refuses to overwrite')
    },
  }
}

/** Checks that masters below a prefix can be read. */
export function mastersCheck(uri: string, options: StoreOptions): Check {
  const name = `masters ${uri}`
  return {
    name,
    remedy: kindOf(uri)?.crossesWan
      ? `grant ${GRANTS.read} on the bucket to the service's identity`
      : 'have the folder mounted, readable for this user',
    async run(signal) {
      const store = openStore(uri, options)
      const folder = folderOf(store)
      const found =
        folder === undefined ? await firstObject(store, signal) : await firstFile(folder)
      const said =
        found === undefined ? 'can be listed; nothing there to read' : `read ${found}`
      return [{ check: name, state: 'ok', found: said }]
    },
  }
}

/** The folder that a store is; undefined for a bucket. */
function folderOf({ uploads }: StoreDriver): string | undefined {
  return uploads?.kind === 'folder' ? uploads.folder : undefined
}

/** Checks that a folder exists. A store makes the folders below it, so that a missing one is a missing mount. */
async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder)
  if (!found.isDirectory()) throw new Error(`${folder} is not a folder`)
  await access(folder, constants.R_OK | constants.X_OK)
}

/**
 * Checks that a store can be read and listed. Without the permission to list, Cloud Storage responds to a read of a
 * missing object with 403.
 */
async function read(store: StoreDriver, signal: AbortSignal): Promise<void> {
  await store.stat(ABSENT, { signal })
  for await (const _ of store.list('preflight/', { signal })) return
}

async function keep(store: StoreDriver, name: ObjectName, signal: AbortSignal): Promise<void> {
  const options = { contentType: 'text/plain', signal }
  await store.create(name, BYTES, options)
  const again = await store.create(name, OTHER, options)
  const held = await buffer(await store.read(name, { signal }))
  if (again !== 'differs' || !held.equals(BYTES)) {
    throw new Error(`${store.uri(name)} was overwritten: this is no store for our objects`)
  }
  const listed = await Array.fromAsync(store.list(name, { signal }))
  if (!listed.some((each) => each.name === name)) {
    throw new Error(`${store.uri(name)} was created, but is not listed`)
  }
}

async function removed(
  store: StoreDriver,
  name: ObjectName,
  signal: AbortSignal,
): Promise<void> {
  await store.remove(name)
  if ((await store.stat(name, { signal })) !== undefined) {
    throw new Error(`${store.uri(name)} was removed, but is still there`)
  }
}

async function firstObject(
  store: StoreDriver,
  signal: AbortSignal,
): Promise<string | undefined> {
  await store.stat(ABSENT, { signal })
  for await (const { name } of store.list('', { signal })) {
    await buffer(await store.read(name, { start: 0, end: 1, signal }))
    return name
  }
  return undefined
}

/**
 * A file in a folder. Not listed by the store, which would sort the whole folder first: it may have a million files.
 */
async function firstFile(folder: string): Promise<string | undefined> {
  await checkFolder(folder)
  let looked = 0
  for await (const entry of await opendir(folder)) {
    if (entry.isFile()) {
      const file = await open(join(folder, entry.name))
      await file.read(Buffer.alloc(1), 0, 1, 0).finally(() => file.close())
      return entry.name
    }
    if (++looked === MAX_LOOKED_AT) break
  }
  return undefined
}

const MAX_LOOKED_AT = 1000
