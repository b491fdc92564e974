import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { wavPart } from '#shared/audio/wav-part.ts'
import { CHAIN } from '#shared/contracts/stages.ts'
import { KINDS } from '../../../tools/bench/peers/kinds.ts'
import { installPeers } from '../../../tools/bench/peers/packages.ts'
import { serveStep } from '../../../tools/bench/peers/serve-step.ts'
import { stepWork } from '../../../tools/bench/peers/step-work.ts'
import { clubTrack, interleaved } from '../../../tools/local/synth.ts'
import { until } from '../../support/patience.ts'

// The chains that `npm run bench:peers` compares with ours do the whole work. All steps in this process: it is cheaper.

const JOBS = 20
const folder = await mkdtemp(join(tmpdir(), 'trackchain-peers-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const master = join(folder, 'master.wav')
await writeFile(master, wavPart(interleaved(clubTrack({ sampleRate: 44_100, bars: 1 }))))
const packages = await installPeers().then(() => '', String)
const redis = spawnSync('redis-check-rdb', ['--version']).error
const missing = {
  'graphile-worker': packages,
  bullmq: packages || (redis && 'Redis is not installed (Debian: redis-tools)'),
}

for (const kind of ['graphile-worker', 'bullmq'] as const) {
  const skip = missing[kind] ? `${missing[kind]}: THE CHAIN ON IT IS NOT TRIED` : false
  const title = `five steps on ${kind} make the assets of 20 jobs and record them`
  t.test(title, { skip }, async (t) => {
    const server = await KINDS[kind].start(join(folder, kind))
    const assets = join(folder, `${kind}-assets`)
    const work = stepWork(pathToFileURL(assets).href)
    const queue = await KINDS[kind].open(server.address)
    t.teardown(async () => {
      await queue.close()
      await server.stop()
    })
    const out = new Set<string>()
    for (const step of CHAIN)
      await serveStep(queue, step, { work, onOut: (requestId) => out.add(requestId) })
    const jobs = Array.from({ length: JOBS }, (_, index) => ({
      request_id: randomUUID(),
      asset_guid: `track-${index}`,
      derivative_assets: ['nothing-analyzed', 'nothing-encoded'],
      master_uri: pathToFileURL(master).href,
    }))
    await queue.add('ingest', jobs)
    await until(() => out.size === JOBS)
    t.strictSame([...out].sort(), jobs.map(({ request_id }) => request_id).sort())
    t.equal(await server.recorded(), JOBS)
  })
}
