import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pcmSource, wavPartName } from '#shared/assets/make/pcm-source.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import type { JobId } from '#shared/contracts/names.ts'
import { locate, openStore } from '#shared/store/open.ts'
import { isConformant } from '../../../services/stage/formats/layout.ts'
import { masterBytes } from '../../../services/stage/formats/master-bytes.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { stageMaster } from '../../../services/stage/resample/whole-master.ts'

/** The run to stage under. The scratch of a file is a folder of its own, so that all can have the same. */
const RUN = { route: 'accuracy', job: 'accuracy' as JobId, run: 1, plan: 'accuracy' }

/**
 * Calls `use` with a file's samples, obtained as the chain obtains those of a master: read in place, or staged into a
 * folder that is removed afterwards. Rejects with the chain's own error when the file can't be read.
 */
export async function withSource<T>(
  path: string,
  signal: AbortSignal,
  use: (pcm: PcmSource) => Promise<T>,
): Promise<T> {
  const uri = pathToFileURL(path).href
  const { driver, name } = locate(uri)
  const stat = await driver.stat(name, { signal })
  if (!stat) throw new Error('no such file')
  const { revision, bytes } = stat
  const file = masterBytes(driver, name, { bytes, revision })
  const layout = await survey(file, signal)
  if (isConformant(layout)) {
    const { offset, bigEndian, samples } = layout
    const place = { kind: 'in-place' as const, uri, revision, offset, bigEndian, samples }
    return use(pcmSource(place, { locate, scratch: driver, run: RUN }))
  }
  const folder = await mkdtemp(join(tmpdir(), 'accuracy-'))
  try {
    const scratch = openStore(pathToFileURL(folder).href)
    const staged = await stageMaster(layout, {
      file,
      signal,
      async write(start, end, wav) {
        const contentType = 'audio/wav'
        await scratch.create(wavPartName(RUN, start, end), wav, { contentType, signal })
      },
    })
    return await use(pcmSource({ kind: 'staged', ...staged }, { locate, scratch, run: RUN }))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
