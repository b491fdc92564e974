import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { fileStore } from '#shared/store/file/file-store.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { stageMaster } from '../../../services/stage/resample/whole-master.ts'
import { bytesOf, soon } from '../stage.ts'

/** What becomes of a master, at its path, while this process may open no more files, and what once it may again. */
const path = process.argv[2] as string
const master = await readFile(path)
const layout = await survey(bytesOf(master), soon())
const store = fileStore(dirname(path))
const acts = {
  survey: () => survey(bytesOf(master), soon()),
  stage: () =>
    stageMaster(layout, { file: bytesOf(master), signal: soon(), write: async () => {} }),
  read: async () => buffer(await store.read(basename(path) as ObjectName)),
}

async function outcomes() {
  const found: Record<string, unknown> = {}
  for (const [name, act] of Object.entries(acts)) {
    found[name] = await act().then(
      () => 'done',
      (error) => (error instanceof PermanentError ? 'a verdict' : error.code),
    )
  }
  return found
}

await outcomes()
const held: number[] = []
try {
  for (;;) held.push(openSync('/dev/null', 'r'))
} catch {}
const full = await outcomes()
for (const each of held) closeSync(each)
process.stdout.write(JSON.stringify({ full, after: await outcomes() }))
