import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import { CONFIG_EXIT } from '#shared/contracts/errors/config.ts'
import { WorkerPool } from '../../services/analyze/worker-pool.ts'
import { checkDerivatives } from '../../tools/local/check-derivatives.ts'
import { startService } from '../support/processes/service.ts'
import { examined } from './derivative.ts'

// Every file in the folder, those written tomorrow too, must pass this. `npm run derivative` tries others.
const registry = await loadRegistry()
const pool = new WorkerPool({ threads: 1 })
t.teardown(() => pool.close())

for (const asset of registry.values()) {
  t.test(`${asset.id}@${asset.version}`, async (t) => {
    for await (const { what, holds, why } of examined(asset, { pool }))
      t.ok(holds, why === undefined ? what : `${what}: ${why}`)
  })
}

t.test('a folder of one’s own is added to the registry', async (t) => {
  const folder = t.testdir({
    'peak.mjs': `export default {
      id: 'peak', version: 1, title: 'Peak', stage: 'analyze', files: { json: 'application/json' },
      cost: { fixedMs: 1, msPerSecond: 0.1 }, render: async () => ({ json: Buffer.from('{}') }) }`,
  })
  t.ok((await loadRegistry(folder)).has('peak'))
})

t.test('a folder that is not there is named', async (t) => {
  await t.rejects(loadRegistry('/nowhere'), {
    message: /^the folder of derivative assets cannot be read: .*'\/nowhere'/,
  })
})

t.test('npm run derivative examines one file, and says what it took', async (t) => {
  const folder = t.testdir({
    'sound.mjs': definition(`async () => ({ json: Buffer.from('{}') })`),
    'random.mjs': definition(`async ({ signal }) => {
      signal.throwIfAborted()
      return { json: Buffer.from(JSON.stringify(Math.random())) }
    }`),
    'broken.mjs': 'export default {',
  })
  const tried = (name: string) => {
    const args = [new URL('./try-derivative.ts', import.meta.url).pathname, join(folder, name)]
    return promisify(execFile)(process.execPath, args).catch((error) => error)
  }
  const [sound, random, broken] = await Promise.all(
    ['sound.mjs', 'random.mjs', 'broken.mjs'].map(tried),
  )
  t.match(sound, { code: 1, stdout: /FAULT gives up when the signal aborts/ })
  t.match(random, { code: 1, stdout: /FAULT makes the same bytes each time/ })
  t.match(random.stdout, /ok {4}gives up.*\n {2}cost: \{"fixedMs":\d+,"msPerSecond":/)
  t.match(broken, {
    code: 2,
    stderr: /^\S+broken\.mjs: it cannot be loaded: SyntaxError: .*\n$/,
  })
})

t.test('a faulty file is reported before any service starts, in one sentence', async (t) => {
  const folder = t.testdir({
    sound: { 'a.mjs': definition('async () => ({})') },
    broken: { 'odd.mjs': 'export default {' },
    ending: { 'a.mjs': 'process.exit(0)' },
  })
  await checkDerivatives(join(folder, 'sound'))
  await t.rejects(checkDerivatives(join(folder, 'broken')), {
    message: /^A derivative asset is faulty\. \S+odd\.mjs: it cannot be loaded: \S.*$/,
  })
  await t.rejects(checkDerivatives(join(folder, 'ending')), { message: /ends its process/ })
})

t.test('a service ends with exit code 2 and one sentence about a faulty file', async (t) => {
  const folder = t.testdir({ 'odd.mjs': 'export default {' })
  const at = (name: string) => pathToFileURL(join(folder, name)).href
  const { exited, said } = startService('stage/main.ts', {
    ...{ project: 'test', pubsub: '127.0.0.1:1', derivatives: folder },
    ...{ assets: at('assets'), scratch: at('scratch'), uploads: at('uploads') },
  })
  t.equal(await exited, CONFIG_EXIT, said())
  const lines = said().trim().split('\n')
  const fatal = lines.map((line) => JSON.parse(line)).filter(({ origin }) => origin)
  t.match(fatal, [
    {
      origin: 'configuration',
      message:
        /^TRACKCHAIN_DERIVATIVES cannot be loaded: \S+odd\.mjs: it cannot be loaded: SyntaxError: \S.*$/,
    },
  ])
  t.notMatch(said(), /"stack"/)
})

/** A definition whose `render` is this. */
function definition(render: string): string {
  return `export default {
    id: 'own', version: 1, title: 'Own', stage: 'analyze', files: { json: 'application/json' },
    cost: { fixedMs: 1, msPerSecond: 0.1 }, render: ${render} }`
}

for (const [what, source, words] of [
  ['a fault of syntax', 'export default {', /odd\.mjs: it cannot be loaded: SyntaxError: \S/],
  [
    'an import that is not there',
    "import './none.mjs'",
    /odd\.mjs: it cannot be loaded: Error: /,
  ],
  [
    'an id that cannot be written as JSON',
    'export default { id: 1n }',
    /id must match .*, got 1n/,
  ],
  ['no default export', 'export const x = 1', /default export/],
  ['an id that is no id', "export default { id: 'Über' }", /id must match/],
  ['a version of 0', "export default { id: 'x', version: 0 }", /version must be/],
  ['no files', "export default { id: 'x', version: 1, stage: 'encode' }", /files must name/],
  [
    'an id that is taken',
    "export default { id: 'bpm', version: 1, stage: 'analyze', files: { json: 'a/b' }, cost: { fixedMs: 1, msPerSecond: 1 }, render() {} }",
    /bpm is taken/,
  ],
] as const) {
  t.test(`a definition with ${what} is refused, and the file is named`, async (t) => {
    const folder = `${t.testdirName}-${Math.random()}`
    await mkdir(folder, { recursive: true })
    t.teardown(() => rm(folder, { recursive: true }))
    await writeFile(`${folder}/odd.mjs`, source)
    await t.rejects(loadRegistry(folder), { message: words })
    await t.rejects(loadRegistry(folder), { message: /odd\.mjs/ })
  })
}
