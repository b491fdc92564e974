import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { sourceOf } from '#shared/audio/ranged.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { analyzeTools } from '../../services/analyze/tools.ts'
import { WorkerPool } from '../../services/analyze/worker-pool.ts'
import { encodeTools } from '../../services/encode/tools.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { sine } from '../support/synth.ts'

const DOCUMENT = new URL('../../docs/tasks/add-a-derivative-asset.md', import.meta.url)
const text = await readFile(DOCUMENT, 'utf8')
const blocks = (language: string) =>
  [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)]
    .filter(([, each]) => each === language)
    .map(([, , block = '']) => block)

/** A folder in the repository, so that #shared/… resolves as for a built-in asset. It is removed with the test. */
async function ownFolder(
  t: { teardown(end: () => unknown): void },
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const folder = new URL(`.own-${process.pid}-${Math.random()}/`, import.meta.url).pathname
  await mkdir(folder)
  t.teardown(() => rm(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files))
    await writeFile(`${folder}/${name}`, content)
  return folder
}

t.test(
  'the document’s example is one file of under 30 lines that the chain makes',
  async (t) => {
    const [example = ''] = blocks('ts')
    t.ok(example.split('\n').length < 30, `${example.split('\n').length} lines`)

    const folder = await ownFolder(t, { 'peak.ts': example })

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

t.test('the signatures in the document are those of the tools', async (t) => {
  const [, signatures = ''] = blocks('ts')
  const [teaser = ''] = blocks('js')
  const names = ['Tools', 'AnalyzeTools', 'EncodeTools', 'Range', 'Parts', 'Streamed']
  const folder = await ownFolder(t, {
    'signatures.ts': `${signatures}
      import type * as real from '#shared/assets/definition.ts'
      type Same<A, B> = [A, B] extends [B, A] ? true : never
      ${names.map((name) => `export const same${name}: Same<${name}, real.${name}> = true`).join('\n')}`,
    'teaser.ts': `import { defineDerivative } from '#shared/assets/definition.ts'
      ${teaser.replace('export default {', 'export default defineDerivative({').replace(/\}\s*$/, '})')}`,
    'tsconfig.json': JSON.stringify({ extends: '../../../tsconfig.json', include: ['*.ts'] }),
  })
  const tsc = new URL('../../node_modules/.bin/tsc', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(tsc, ['-p', folder]).catch((error) => error)
  t.equal(stdout, '')
  // Each tool is named.
  for (const name of await toolNames())
    t.match(signatures, new RegExp(`^  (readonly )?${name}\\b`, 'm'))
})

/** The names of the tools of both stages, as the services give them. */
async function toolNames(): Promise<readonly string[]> {
  const { signal } = new AbortController()
  const pcm = sourceOf(1, async () => new Int16Array(2))
  const pool = new WorkerPool({ threads: 1 })
  const names = [
    ...Object.keys(encodeTools(pcm, signal)),
    ...Object.keys(analyzeTools({ pcm, signal, pool })),
  ]
  await pool.close()
  return names
}
