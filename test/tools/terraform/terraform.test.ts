import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '#shared/frame/config.ts'
import { readSchema } from '../../../tools/terraform/schema.ts'
import { staticFaults } from '../../../tools/terraform/static.ts'
import { openTerraform, terraformVersion } from '../../../tools/terraform/terraform.ts'
import { topologyFiles } from '../../../tools/terraform/topology-files.ts'
import { patient } from '../../support/patience.ts'
import { FAULTS, type Fault, plant } from './faults.ts'

const version = terraformVersion()
t.comment(
  version === undefined
    ? 'TERRAFORM IS NOT INSTALLED: its own fmt, validate and test were skipped, the static check alone was made'
    : `terraform ${version}: fmt, validate and test with the schema of google ${readSchema().provider}`,
)
const skip = version === undefined && 'terraform is not installed'

t.test('Terraform reads the topology that the code has', async (t) => {
  for (const [name, text] of Object.entries(topologyFiles()))
    t.equal(readFileSync(name, 'utf8'), text, `${name}: if not, npm run topology`)
})

t.test('the services read the settings in the outputs', async (t) => {
  const expected = readFileSync('terraform/tests/inputs.tftest.hcl', 'utf8')
  const settings = expected.matchAll(/(TRACKCHAIN_\w+) += ("(?:\\.|[^"])*")/g)
  const env = Object.fromEntries(
    [...settings].map(([, name, text = '']) => [name, JSON.parse(text)]),
  )
  const { routes, assets } = readConfig(env)
  t.same(Object.keys(routes), ['cloud-urgent', 'cloud'], 'the default one first')
  t.equal(routes.cloud?.templates[0], 'gs://masters/{asset_guid}.wav')
  t.equal(assets, 'gs://example-project-trackchain-assets/')
})

t.test('without terraform: names, kinds and literal values are checked', async (t) => {
  const schema = readSchema()
  t.same(await staticFaults('terraform', schema), [])
  for (const fault of FAULTS) {
    if (fault.seen === undefined) continue
    const folder = join(t.testdirName, fault.name.replaceAll(/\W/g, '-'))
    t.testdir({})
    plant(folder, [fault])
    const found = (await staticFaults(folder, schema)).join('\n')
    t.match(found, fault.seen, fault.name)
  }
})

t.test('with terraform', { skip, timeout: patient(600_000) }, async (t) => {
  const terraform = await openTerraform()
  t.teardown(() => terraform.close())
  const good = async (folder: string, ...args: string[]) => {
    const { code, said } = await terraform.run(folder, ...args)
    t.equal(code, 0, `terraform ${args[0]}\n${code === 0 ? '' : said}`)
  }
  await good('terraform', 'fmt', '-check', '-recursive', '-diff')

  for (const fault of FAULTS) {
    if (fault.reported !== undefined) continue
    const folder = t.testdir({})
    plant(folder, [fault])
    const { code } = await terraform.run(folder, 'validate', '-no-color')
    t.not(code, 0, fault.name)
  }

  // A run takes seconds, so the faults that one file reports are planted together: it has a sentence for each.
  const redBy = async (file: string, faults: readonly Fault[]) => {
    const folder = t.testdir({})
    plant(folder, faults)
    const filter = `-filter=tests/${file}.tftest.hcl`
    const { said } = await terraform.run(folder, 'test', '-no-color', filter)
    t.match(said, /^Failure!/m, `${file} is red`)
    // Terraform frames its lines, and wraps long ones.
    const words = said.replaceAll(/[\s│]+/g, ' ')
    for (const { name, reported } of faults)
      t.ok(words.includes(reported?.as ?? ''), `${name}: ${reported?.as}`)
  }
  const reds = async () => {
    for (const file of ['chain', 'cluster', 'rights']) {
      const faults = FAULTS.filter(({ reported }) => reported?.by === file)
      for (const fault of faults) if (fault.ends) await redBy(file, [fault])
      const together = faults.filter(({ ends }) => !ends)
      await redBy(file, together)
    }
  }
  await Promise.all([reds(), good('terraform', 'test', '-no-color')])
})
