import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { CAMPAIGN_ERRORS } from '#shared/contracts/errors/campaign.ts'
import { CHAIN_ERRORS } from '#shared/contracts/errors/chain.ts'
import { HTTP_ERRORS } from '#shared/contracts/errors/http.ts'
import { OF_COMMANDS, PROPERTIES, variableOf } from '#shared/frame/config.ts'
import { documents } from '../../tools/docs/write-docs.ts'

const ROOT = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8')

t.test('the generated documents are current', async (t) => {
  for (const [path, text] of Object.entries(documents()))
    t.ok(read(path) === text, `${path}: npm run docs`)
})

t.test('the documents name no setting that there is not', async (t) => {
  const known = new Set([...PROPERTIES.map(([name]) => variableOf(name)), ...OF_COMMANDS])
  const paths = globSync(['{docs,k8s,terraform}/**/*.{md,yaml,tf}', '*.md'], { cwd: ROOT })
  // The changelog tells of names that were.
  for (const path of paths.filter((each) => each !== 'CHANGELOG.md'))
    for (const [variable] of read(path).matchAll(/TRACKCHAIN_[A-Z_]*[A-Z]/g)) {
      const name = variable.replace(/_FILE$/, '')
      if (!known.has(variable) && !known.has(name)) t.fail(`${path}: ${variable}`)
    }
  t.ok(paths.length > 20)
})

t.test('the documents of errors name no code that there is not', async (t) => {
  for (const path of [
    'docs/reference/api.md',
    'docs/tasks/dead-letters.md',
    'docs/tasks/dispatch.md',
    'DESIGN.md',
  ])
    for (const [, code = ''] of read(path).matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)) {
      // Variables, and flags of system calls.
      if (/^(TRACKCHAIN_|O_)/.test(code)) continue
      t.ok(
        code in CHAIN_ERRORS || code in HTTP_ERRORS || code in CAMPAIGN_ERRORS,
        `${path}: ${code}`,
      )
    }
})
