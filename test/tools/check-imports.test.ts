import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { importBreaches } from '../../tools/check-imports.ts'

/** Files that break a rule, with their text. */
const BREACHES = {
  'shared/async/a.ts': "import type { ObjectName } from '../contracts/names.ts'",
  'shared/contracts/a.ts': "import { SAMPLE_RATE } from '../audio/pcm.ts'",
  'shared/contracts/b.ts': "import '../../services/encode/main.ts'",
  'shared/contracts/c.ts': "import '../../tools/local/port.ts'",
  'shared/contracts/d.ts': "import 'ajv'",
  'shared/contracts/e.ts': "import 'ajv-formats/dist/limit.js'",
  'shared/store/a.ts': "import '@google-cloud/storage'",
  'shared/store/b.ts': "import '../bus/bus.ts'",
  'shared/bus/a.ts': "import '@google-cloud/pubsub/build/src/v1.js'",
  'shared/frame/a.ts': "import type { Registry } from '../assets/registry.ts'",
  'shared/frame/b.ts': "export * from '../catalogue/database.ts'",
  'shared/assets/built-in/waveform/a.ts': "import '../../../catalogue/database.ts'",
  'shared/catalogue/a.ts': "import 'pg'",
  'shared/a.ts': "import 'node:path'",
  'services/encode/a.ts': "import '../analyze/step.ts'",
  'services/encode/b.ts':
    "import {\n  one,\n  type Two,\n} from '../../services/analyze/step.ts'",
  'services/encode/c.ts': "export * from '../ingest/jobs/accept.ts'",
  'services/encode/d.ts': "await import('../publish/step.ts')",
  'services/encode/aac/e.ts': "import '../../analyze/step.ts'",
  'services/encode/f.ts': "import pg from 'pg'\npg",
  'services/encode/g.ts': "await import('pg/lib/client.js')",
  'services/encode/h.ts': "import '../../tools/local/port.ts'",
  'services/encode/i.ts': "import '../support/audio.ts'",
  'services/encode/j.ts': "type Step = import('../analyze/step.ts').Step",
  'services/ingest/jobs/a.ts': "import '../../stage/step.ts'",
  'services/analyze/worker.ts': "import 'essentia.js'",
  'services/analyze/a.ts': "import 'fluent-ffmpeg'",
  'services/dispatch/pod/main.ts': "import '../../ingest/jobs/accept.ts'",
  'services/dispatch/pod/a.ts': "import '../../analyze/step.ts'",
  'services/dispatch/cluster/pod-spec.ts':
    "import type { V1Pod } from '@kubernetes/client-node'",
  'services/dispatch/dispatcher.ts': "import '../encode/step.ts'",
  'services/other/a.ts': "import 'node:path'",
  'tools/local/a.ts': "import '../../services/ingest/jobs/accept.ts'",
  'tools/local/b.ts': "import '../client/client.ts'",
  'tools/terminal/a.ts': "import '../local/port.ts'",
  'tools/cli/a.ts': "import '@google-cloud/pubsub'",
  'tools/cli/b.ts': "import '../bench/bench.ts'",
  'tools/bench/a.ts': "import '../support/audio.ts'",
  'tools/a.ts': "import './local/port.ts'",
  'k8s/a.ts': "import '../shared/contracts/names.ts'",
  'shared/audio/unused.ts': 'export const RATE = 44_100',
  'shared/audio/unused-type.ts': 'export interface Rate {}',
  'shared/audio/tested.ts': 'export const RATE = 44_100',
  // Cycles of folders, and of files, are reported for one of their files.
  'shared/store/file/settings.ts': "import type { Driver } from '../driver/driver.ts'",
  'shared/audio/one.ts': "import type { Two } from './two.ts'",
}

/** Files that break no rule. */
const HONEST = {
  'shared/audio/two.ts': "import './three.ts'\n// import '../../services/encode/step.ts'",
  'shared/audio/three.ts': "import type { One } from './one.ts'",
  'shared/audio/ffmpeg.ts': "import 'fluent-ffmpeg'\nimport '../contracts/names.ts'",
  'shared/bus/pubsub.ts': "import '@google-cloud/pubsub'",
  'shared/catalogue/database.ts': "import 'pg'",
  'shared/contracts/names.ts': "import 'node:crypto'",
  'shared/contracts/validator.ts': "import 'ajv/dist/2019.js'\nimport 'ajv-formats'",
  'shared/store/gcs/gcs-store.ts': "import '@google-cloud/storage'",
  'services/encode/step.ts':
    "import './aac/aac.ts'\nimport '#shared/contracts/names.ts'\nconst from = '../analyze/step.ts'",
  'services/encode/aac/aac.ts': "import './adts.ts'",
  'shared/store/driver/kind.ts': "import type { Settings } from '../file/settings.ts'",
  'shared/store/driver/driver.ts': "import 'node:path'",
  'services/stage/formats/layout.ts': "import './mpeg/tag.ts'",
  'services/stage/formats/mpeg/tag.ts': "import '../byte-window.ts'",
  'services/stage/formats/byte-window.ts': "import 'node:path'",
  'services/encode/tools.ts': "import { type Used as Taken } from '#shared/audio/used.ts'",
  'shared/audio/used.ts': 'export interface Used {}\nexport default 1',
  'test/audio/tested.test.ts':
    "import { RATE } from '#shared/audio/tested.ts'\nimport { inner } from '#shared/audio/inner.ts'",
  'shared/audio/inner.ts': 'export const inner = 1\nconst outer = inner',
  'services/analyze/essentia.ts': "import 'essentia.js/dist/essentia-wasm.umd.js'",
  'services/dispatch/cluster/cluster.ts': "import '@kubernetes/client-node'",
  'tools/local/supervisor.ts': "import '#shared/bus/pubsub.ts'\nimport '../terminal/text.ts'",
  'tools/cli/cli.ts': "import '../drill/run-drill.ts'",
  'test/any.test.ts': "import 'pg'\nimport '../services/encode/step.ts'",
}

t.test('every planted breach is found, and nothing else', async (t) => {
  const folder = t.testdir({})
  for (const [path, source] of Object.entries({ ...BREACHES, ...HONEST })) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), `${source}\n`)
  }
  const breaches = importBreaches(folder)
  t.same([...new Set(breaches.map(({ file }) => file))].sort(), Object.keys(BREACHES).sort())
  const sentence = (path: string) => breaches.find(({ file }) => file === path)?.sentence
  t.equal(
    sentence('shared/audio/one.ts'),
    'is in a circle: shared/audio/one.ts → shared/audio/two.ts → shared/audio/three.ts → shared/audio/one.ts',
  )
  t.equal(
    sentence('shared/store/file/settings.ts'),
    'closes a circle of folders: shared/store/driver → shared/store/file → shared/store/driver',
  )
  t.match(
    sentence('shared/contracts/a.ts'),
    /^imports shared\/audio\/pcm\.ts; shared\/contracts may/,
  )
  t.match(
    sentence('services/encode/f.ts'),
    /^imports pg, which shared\/catalogue\/database\.ts alone/,
  )
  t.equal(sentence('shared/audio/unused.ts'), 'exports RATE, which no file imports')
  t.equal(sentence('shared/audio/tested.ts'), 'exports RATE, which tests alone use')
  t.match(sentence('services/other/a.ts'), /^is in no folder of the table/)
})

t.test('the project keeps the rules', (t) => {
  t.same(importBreaches(join(import.meta.dirname, '..', '..')), [])
  t.end()
})
