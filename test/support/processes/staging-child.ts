import { asChainError, PermanentError } from '#shared/contracts/errors/chain.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { locate, openStore } from '#shared/store/open.ts'
import { masterBytes } from '../../../services/stage/formats/master-bytes.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { stageMaster } from '../../../services/stage/resample/whole-master.ts'

/**
 * A process that does with each of these URIs what `stage` does with a master, for a watching test: the parts
 * go into the scratch store. `argv`: the URI of the masters' folder, that of scratch, and those of the masters.
 * Prints a verdict of each: its samples, or a code.
 */
const [, , masters = '', scratch = '', ...uris] = process.argv
const store = openStore(scratch)
const { signal } = new AbortController()

for (const [index, uri] of uris.entries()) {
  console.log(await verdict(uri, index).catch((error) => describe(error)))
}

async function verdict(uri: string, index: number): Promise<string> {
  const { driver, name } = locate(uri, { prefixes: [masters] })
  const found = await driver.stat(name)
  if (found === undefined) return 'MASTER_NOT_FOUND'
  const file = masterBytes(driver, name, { bytes: found.bytes })
  const { samples } = await stageMaster(await survey(file, signal), {
    ...{ file, signal },
    async write(start, end, wav) {
      const part = `${index}/${start}-${end}.wav` as ObjectName
      await store.create(part, wav, { contentType: 'audio/wav', signal })
    },
  })
  return `${samples} samples`
}

function describe(thrown: unknown): string {
  const error = asChainError(thrown)
  return error instanceof PermanentError ? error.code : sentence(error)
}
