import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { emulatorWire, localWire } from '../../tools/bench/wires.ts'
import { flac, wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { club } from '../support/synth.ts'

const run = promisify(execFile)
const hasGcloud = await run('which', ['gcloud']).then(
  () => true,
  () => false,
)
const emulator = await emulatorWire()
const local = await localWire(`${t.testdir()}/pubsub.sqlite`)
t.teardown(async () => {
  await emulator?.stop()
  await local.stop()
})
const master = wav(club(8 * 48_000, { rate: 48_000, bpm: 124 }), { rate: 48_000, bits: 24 })
const compressed = await flac(master, { bits: 24 })
const assets = ['bpm', 'key', 'loudness', 'aac-128', 'waveform']
const requestId = '33333333-3333-4333-8333-333333333333'

const outcomes: unknown[] = []
for (const wire of [local, emulator]) {
  const name = wire?.name ?? 'official emulator'
  const skip = wire === undefined ? 'gcloud and its emulator are not installed' : false
  t.test(`the chain makes real assets over the wire: ${name}`, { skip }, async (t) => {
    const around = await surroundings({}, { wire: wire?.endpoint ?? '' })
    const { bus, database, config, published } = around
    const log = createLog('wires', 'error')
    const consumers = await allConsumers({ config, bus, database, log })
    t.teardown(async () => {
      await consumers.close()
      await around.close()
    })
    const job = { request_id: requestId, release_id: 7, asset_id: 9, asset_guid: 'guid-1' }
    await around.master('guid-1', compressed)
    const message = JSON.stringify({ ...job, derivative_assets: assets })
    if (hasGcloud) await gcloudPublish(wire?.endpoint ?? '', config.project, message)
    else await around.submit(EncodeJob.parse(Buffer.from(message)))
    await until(() => published.has('guid-1'), 60_000)
    const outcome = await around.outcome('guid-1', requestId)
    t.match(outcome, { state: 'done', announced: 1 })
    t.match(published.get('guid-1')?.[0]?.assets, [
      { asset: 'aac-128', state: 'made' },
      { asset: 'bpm', state: 'made', result: { bpm: Number } },
      { asset: 'key', state: 'made' },
      { asset: 'loudness', state: 'made', result: { integrated: Number } },
      { asset: 'waveform', state: 'made' },
    ])
    outcomes.push(outcome)
  })
}

t.test('every wire gives the same rows and the same bytes', async (t) => {
  const [first, ...others] = outcomes
  t.ok(first)
  for (const other of others) t.same(other, first)
})

function gcloudPublish(endpoint: string, project: string, message: string) {
  return run('gcloud', ['pubsub', 'topics', 'publish', 'ingest', `--message=${message}`], {
    env: {
      ...process.env,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB: `http://${endpoint}/`,
      CLOUDSDK_AUTH_DISABLE_CREDENTIALS: 'true',
      CLOUDSDK_CORE_PROJECT: project,
      CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
      CLOUDSDK_CONFIG: t.testdirName,
    },
  })
}
