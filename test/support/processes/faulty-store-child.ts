import { readdirSync, readlinkSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { fileStore } from '#shared/store/file/file-store.ts'

/** What a store below a folder (no link) answers while its system calls fail, and how many files are left open. */
const folder = process.argv[2] as string
const store = fileStore(folder)
const name = 'm.wav' as ObjectName
const acts = {
  stat: () => store.stat(name, {}),
  read: async () => buffer(await store.read(name, {})),
  readInto: async () => store.readInto?.(name, new Uint8Array(9), { start: 0 }),
  create: () =>
    store.create('a/b' as ObjectName, Buffer.from('x'), { contentType: 'text/plain' }),
}
const found: Record<string, unknown> = {}
for (const [act, run] of Object.entries(acts)) {
  found[act] = await run().then(
    () => 'done',
    (error) => (error instanceof PermanentError ? 'a verdict' : error.code),
  )
}
process.stdout.write(JSON.stringify({ ...found, left: left() }))

function left(): number {
  const open = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return open.filter((path) => path.startsWith(folder)).length
}
