// Prints what the rules of Redocly (recommended, strict) and Spectral (OpenAPI) find in a document, a line each.
//   node lint.mjs openapi.json
import { readFileSync } from 'node:fs'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import spectral from '@stoplight/spectral-core'
import rulesets from '@stoplight/spectral-rulesets'

const source = readFileSync(process.argv[2], 'utf8')
const config = await createConfig({ extends: ['recommended-strict'] })
for (const problem of await lintFromString({ source, absoluteRef: 'openapi.json', config }))
  console.log(`${problem.ruleId}: ${problem.message} ${problem.location[0]?.pointer ?? ''}`)

const linter = new spectral.Spectral()
linter.setRuleset({
  extends: [rulesets.oas],
  // Each installation has operators of its own, whom this project does not know.
  rules: { 'info-contact': 'off' },
})
for (const { code, message, path } of await linter.run(JSON.parse(source)))
  console.log(`${code}: ${message} ${path.join('/')}`)
