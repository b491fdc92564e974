import { spawn } from 'node:child_process'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

const RULES = ['lint/style/noRestrictedImports', 'lint/style/noProcessEnv']

/** Files that break a rule, with what they do. */
const BREACHES = {
  'services/encode/a.ts': "import '../analyze/step.ts'",
  'services/encode/b.ts': "import '../../services/analyze/step.ts'",
  'services/encode/c.ts': "export * from '../ingest/jobs/accept.ts'",
  'services/encode/d.ts': "await import('../publish/step.ts')",
  'services/encode/deep/e.ts': "import '../../analyze/step.ts'",
  'services/encode/f.ts': "import pg from 'pg'\npg",
  'services/encode/g.ts': "await import('pg/lib/client.js')",
  'services/encode/h.ts': 'process.env.TRACKCHAIN_ROUTE',
  'services/encode/i.ts': "import '../../tools/local/port.ts'",
  'services/stage/formats/a.ts': "import '../../ingest/jobs/accept.ts'",
  'services/ingest/jobs/a.ts': "import '../../stage/step.ts'",
  'services/analyze/worker.ts': "import 'essentia.js'",
  'services/analyze/essentia.ts': "import 'fluent-ffmpeg'",
  'services/dispatch/pod/main.ts': "import '../../ingest/jobs/accept.ts'",
  'services/dispatch/pod/a.ts': "import '../../analyze/step.ts'",
  'services/dispatch/cluster/pod-spec.ts':
    "import type { V1Pod } from '@kubernetes/client-node'",
  'services/dispatch/dispatcher.ts': "import '../encode/step.ts'",
  'tools/local/a.ts': "import '../../services/ingest/jobs/accept.ts'",
  'tools/cli/b.ts': "import '@google-cloud/pubsub'",
  'tools/local/pubsub/c.ts': "import '../../../services/publish/recorder.ts'",
  'shared/a.ts': "import '../services/encode/step.ts'",
  'shared/deep/b.ts': "import '../../services/encode/step.ts'",
  'shared/c.ts': 'process.env.HOME',
  'shared/d.ts': "import '../tools/local/port.ts'",
  'shared/bus/other.ts': "import '@google-cloud/pubsub'",
  'shared/store/other.ts': "import '@google-cloud/storage'",
  'shared/audio/other.ts': "import 'fluent-ffmpeg'",
  'shared/catalogue/other.ts': "import 'pg'",
  'shared/contracts/messages/other.ts': "import 'ajv'",
  'shared/contracts/validator.ts': "import 'pg'",
}

/** Files that keep them. */
const HONEST = {
  'services/encode/step.ts': "import './aac/aac.ts'\nimport '#shared/contracts/names.ts'",
  'services/encode/aac/aac.ts': "import '../tools.ts'\nimport '../flac/flac.ts'",
  'services/ingest/jobs/accept.ts':
    "import '../auth/access.ts'\nimport '../../stage/find-master.ts'",
  'services/analyze/essentia.ts': "import 'essentia.js/dist/essentia-wasm.umd.js'",
  'services/dispatch/pod/main.ts':
    "import '../../stage/step.ts'\nimport '../../encode/step.ts'\nimport '../cluster/pods.ts'",
  'services/dispatch/cluster/cluster.ts': "import '@kubernetes/client-node'",
  'tools/local/supervisor.ts': "import '#shared/bus/pubsub.ts'\nprocess.env.PATH",
  'tools/local/pubsub/rest.ts': "import '../pubsub/broker.ts'",
  'tools/bench/a.bench.ts': "import '../../services/stage/formats/layout.ts'",
  'shared/bus/pubsub.ts': "import '@google-cloud/pubsub'",
  'shared/store/gcs/gcs-store.ts': "import '@google-cloud/storage'",
  'shared/audio/ffmpeg.ts': "import 'fluent-ffmpeg'",
  'shared/catalogue/database.ts': "import 'pg'",
  'shared/contracts/validator.ts': "import 'ajv/dist/2019.js'\nimport 'ajv-formats'",
  'shared/frame/config.ts': 'process.env.TRACKCHAIN_ROUTE',
  'test/any.test.ts': "import 'pg'\nprocess.env.PATH",
}

t.test('every planted breach of the import rules is an error', async (t) => {
  const folder = t.testdir({})
  const faults = await lint(folder, BREACHES)
  for (const path of Object.keys(BREACHES)) t.ok(faults.has(path), path)
})

t.test('what keeps the rules is let through', async (t) => {
  const folder = t.testdir({})
  const faults = await lint(folder, HONEST)
  for (const path of Object.keys(HONEST)) t.notOk(faults.has(path), path)
})

/** The files that the two rules find fault with. */
async function lint(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<ReadonlySet<string>> {
  await cp('biome.json', join(folder, 'biome.json'))
  for (const [path, source] of Object.entries(files)) {
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
  const ours = diagnostics.filter(({ category }) => RULES.includes(category))
  return new Set(ours.map(({ location }) => location.path))
}
