import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import protobuf from 'protobufjs'

/**
 * Writes terraform/tests/dashboard-schema.json: what a dashboard of Cloud Monitoring may contain, from Google's own proto.
 *
 *     git clone --filter=blob:none --bare https://github.com/googleapis/googleapis
 *     node tools/terraform/extract-dashboard.ts googleapis.git
 *
 * All messages below Dashboard, without comments and services.
 */
const [repository = 'googleapis.git'] = process.argv.slice(2)
const TO = 'terraform/tests/dashboard-schema.json'
const PACKAGE = 'google/monitoring/dashboard/v1/'
/** The files that the messages import from other packages. */
const OTHERS = ['type/interval', 'api/monitored_resource', 'api/label', 'api/launch_stage']
const LEFT_OUT = ['dashboards_service.proto', 'service.proto']

const git = (...args: string[]) =>
  spawnSync('git', ['-C', repository, ...args], { encoding: 'utf8', maxBuffer: 64 << 20 })
    .stdout

const names = git('ls-tree', '--name-only', 'HEAD', PACKAGE)
  .split('\n')
  .filter((name) => name.endsWith('.proto') && !LEFT_OUT.includes(name.slice(PACKAGE.length)))
const root = new protobuf.Root()
for (const name of [...names, ...OTHERS.map((other) => `google/${other}.proto`)])
  protobuf.parse(git('show', `HEAD:${name}`), root)
for (const name of ['duration', 'timestamp', 'empty', 'wrappers', 'struct'])
  root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)?.nested ?? {})
const { nested } = root.toJSON()
const schema = {
  from: `https://github.com/googleapis/googleapis, ${PACKAGE}`,
  commit: git('rev-parse', 'HEAD').trim(),
  license: 'Copyright Google LLC, Apache-2.0; comments and services were removed',
  nested,
}
// A line for each message, so that a change has a readable diff.
const lines = JSON.stringify(schema).replace(
  /("[A-Z]\w+":\{"(?:oneofs|fields|values|options)")/g,
  '\n$1',
)
writeFileSync(TO, `${lines}\n`)
