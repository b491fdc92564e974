import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import t from 'tap'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { sine, wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'

const DOCUMENT = new URL('../../docs/tasks/add-a-derivative-asset.md', import.meta.url)

t.test(
  'the document’s example is one file of under 30 lines that the chain makes',
  async (t) => {
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(await readFile(DOCUMENT, 'utf8')) ?? []
    t.ok(example.split('\n').length < 30, `${example.split('\n').length} lines`)

    // The folder is in the repository, so that #shared/… resolves as for a built-in asset.
    const folder = new URL(`.own-${process.pid}/`, import.meta.url).pathname
    await mkdir(folder)
    t.teardown(() => rm(folder, { recursive: true }))
    await writeFile(`${folder}/peak.ts`, example)

    const around = await surroundings({ derivatives: folder })
    const { bus, database, config, published } = around
    const consumers = await allConsumers({
      config,
      bus,
      database,
      log: createLog('docs', 'error'),
    })
    t.teardown(async () => {
      await consumers.close()
      await around.close()
    })
    const half = sine(44_100, 441, { amplitude: 0.5 })
    await around.master('peaky', wav([half, half]))
    await around.submit({ asset_guid: 'peaky', derivative_assets: ['peak'] })
    await until(() => published.has('peaky'))
    t.match(published.get('peaky'), [
      { state: 'done', assets: [{ asset: 'peak', version: 1, result: { dbfs: -6.02 } }] },
    ])
  },
)
