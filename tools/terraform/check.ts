import { readFileSync } from 'node:fs'
import { readSchema } from './schema.ts'
import { staticFaults } from './static.ts'
import { openTerraform, terraformVersion } from './terraform.ts'
import { topologyFiles } from './topology-files.ts'

/** `npm run terraform`: all checks of terraform/ that need no cloud. Exit codes: 0 no faults; 1 faults. */
const FOLDER = 'terraform'
const { provider, from } = readSchema()

function report(what: string, faults: readonly string[]): void {
  console.log(`${faults.length === 0 ? 'good  ' : 'FAILED'} ${what}`)
  for (const fault of faults) console.log(`       ${fault}`)
  if (faults.length > 0) process.exitCode = 1
}

const stale = Object.entries(topologyFiles())
  .filter(([name, text]) => readFileSync(name, 'utf8') !== text)
  .map(([name]) => `${name} is not what the code has: npm run topology`)
report('topics and subscriptions are those of shared/contracts/topology.ts', stale)
report(
  `arguments and literal values, by the schema of google ${provider} (${from})`,
  await staticFaults(FOLDER, readSchema()),
)

const version = terraformVersion()
if (version === undefined) {
  console.log('SKIPPED terraform fmt, validate and test: terraform is not installed')
} else {
  const terraform = await openTerraform()
  for (const args of [
    ['fmt', '-check', '-recursive', '-diff'],
    ['validate', '-no-color'],
    ['test', '-no-color'],
  ]) {
    const { code, said } = await terraform.run(FOLDER, ...args)
    const counted = /^Success! (\d+ passed.*)\.$/m.exec(said)?.[1]
    const detail = counted === undefined ? '' : ` (${counted})`
    const faults = code === 0 ? [] : said.trimEnd().split('\n')
    report(`terraform ${version} ${args[0]}${detail}`, faults)
  }
  terraform.close()
}
