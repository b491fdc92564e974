// Prints what the rules of Redocly (recommended, strict) and Spectral (OpenAPI) find: for each document a line, which is
// a JSON list of sentences. Loading the rules takes longer than applying them.
//   node lint.mjs openapi.json ...
import { readFileSync } from 'node:fs'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import spectral from '@stoplight/spectral-core'
import rulesets from '@stoplight/spectral-rulesets'

const config = await createConfig({ extends: ['recommended-strict'] })
const linter = new spectral.Spectral()
linter.setRuleset({
  extends: [rulesets.oas],
  // Each installation has operators of its own, whom this project does not know.
  rules: { 'info-contact': 'off' },
})
for (const file of process.argv.slice(2)) {
  const source = readFileSync(file, 'utf8')
  const found = []
  for (const problem of await lintFromString({ source, absoluteRef: 'openapi.json', config }))
    found.push(`${problem.ruleId}: ${problem.message} ${problem.location[0]?.pointer ?? ''}`)
  for (const { code, message, path } of await linter.run(JSON.parse(source)))
    found.push(`${code}: ${message} ${path.join('/')}`)
  console.log(JSON.stringify(found))
}
