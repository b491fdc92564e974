import { execFile } from 'node:child_process'
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { ownPackages } from '../../tools/local/own-packages.ts'
import { startApi } from '../services/ingest/api.ts'
import { patient } from '../support/patience.ts'

// The document is judged by tools that others use: Redocly, Spectral, and clients made by openapi-typescript.

t.setTimeout(patient(300_000))
const run = promisify(execFile)
const HERE = import.meta.dirname
const FOLDER = await ownPackages(HERE, 'openapi', { timeoutMs: patient(200_000) }).catch(
  (error) => {
    t.comment(`NOT TESTED by other tools is the OpenAPI document: ${error}`)
    return ''
  },
)
const MODULES = join(FOLDER, 'node_modules')
const options = { cwd: FOLDER, timeout: patient(200_000) }
const skip = FOLDER === '' && 'its tools could not be installed'
const node = (...args: string[]) => run(process.execPath, args, options)

t.test(
  'Redocly and Spectral find nothing; openapi-typescript makes a client',
  { skip },
  async (t) => {
    const api = await startApi()
    t.teardown(() => api.close())
    // It finds its packages from where it lies.
    await copyFile(join(HERE, 'lint.mjs'), join(FOLDER, 'lint.mjs'))
    const text = await (await fetch(`${api.url}/openapi.json`)).text()
    const file = join(FOLDER, 'openapi.json')
    const planted = JSON.parse(text)
    const { description: _, operationId: __, ...bare } = planted.paths['/v1/board'].get
    planted.paths = { '/v1/board': { get: bare } }
    await writeFile(file, text)
    const faulty = join(FOLDER, 'planted.json')
    await writeFile(faulty, JSON.stringify(planted))
    const lines = (await node('lint.mjs', file, faulty)).stdout.trimEnd().split('\n')
    const [good, bad] = lines.map((line): string[] => JSON.parse(line))
    t.strictSame(good, [])
    const rules = bad?.map((line) => line.split(':')[0]) ?? []
    t.ok(rules.includes('operation-operationId'), `${rules}`)
    t.ok(rules.includes('operation-description'), `${rules}`)

    const make = join(MODULES, 'openapi-typescript', 'bin', 'cli.js')
    await node(make, file, '-o', join(FOLDER, 'api.d.ts'))
    await copyFile(join(HERE, 'use.txt'), join(FOLDER, 'use.mts'))
    const flags =
      '--noEmit --strict --module nodenext --skipLibCheck --allowImportingTsExtensions'
    const compiler = join(MODULES, 'typescript', 'bin', 'tsc')
    const said = await node(compiler, ...flags.split(' '), join(FOLDER, 'use.mts')).then(
      () => '',
      (error) => error.stdout,
    )
    t.equal(said, '', 'what uses it rightly compiles, and nothing else does')
  },
)
