import { spawn } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

/** Who may read the environment, and who may not. Who imports whom is checked by tools/check-imports.ts. */
const FILES = {
  'services/encode/a.ts': { source: 'process.env.TRACKCHAIN_ROUTES', isAllowed: false },
  'shared/frame/b.ts': { source: 'process.env.HOME', isAllowed: false },
  'shared/frame/config.ts': { source: 'process.env.TRACKCHAIN_ROUTE', isAllowed: true },
  'tools/local/supervisor.ts': { source: 'process.env.PATH', isAllowed: true },
  'test/any.test.ts': { source: 'process.env.PATH', isAllowed: true },
}

t.test('the configuration alone reads the environment', async (t) => {
  const folder = t.testdir({})
  await cp('biome.json', join(folder, 'biome.json'))
  for (const [path, { source }] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), `${source}\n`)
  }
  const biome = spawn('biome', ['lint', '--reporter=json', '--max-diagnostics=none'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const { diagnostics } = JSON.parse(await text(biome.stdout)) as {
    diagnostics: { category: string; location: { path: string } }[]
  }
  const faults = diagnostics
    .filter(({ category }) => category === 'lint/style/noProcessEnv')
    .map(({ location }) => location.path)
  for (const [path, { isAllowed }] of Object.entries(FILES))
    t.equal(faults.includes(path), !isAllowed, path)
})
