import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { json } from '#shared/contracts/message.ts'
import { CORES } from '#shared/frame/cores.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { emulatorWire, localWire, type RunningWire } from '../../../tools/bench/wires.ts'
import { wav } from '../../support/audio.ts'
import { surroundings, until } from '../../support/chain.ts'
import { allConsumers } from '../../support/one-process.ts'
import { lull, patient } from '../../support/patience.ts'
import { startService } from '../../support/processes/service.ts'
import { club } from '../../support/synth.ts'

/** Time that the running step has after SIGTERM, seconds; the test allows a second more. */
const STEP_SECONDS = 9
/** Time limits for the redelivery of unacknowledged messages: at once, or when the lease has expired. */
const soonMs = 2_000
const leaseMs = 18_000

const emulator = await emulatorWire()
const local = await localWire(`${t.testdir()}/pubsub.sqlite`)
t.teardown(async () => {
  await emulator?.stop()
  await local.stop()
})
const log = createLog('sigterm', 'fatal')
const master = wav(club(2 * 44_100))
const slow = new URL('../../support/derivatives-slow', import.meta.url).pathname
const REST = ['ingest', 'stage', 'encode', 'publish', 'events']

t.jobs = 2
for (const wire of [local, emulator]) {
  const name = wire?.name ?? 'official emulator'
  const skip = wire === undefined && 'gcloud and its emulator are not installed'
  t.test(
    `SIGTERM during a step: its ack counts, and what was not begun goes back at once: ${name}`,
    { skip, buffered: true },
    (t) => leaving(t, wire as RunningWire),
  )
}

async function leaving(t: Test, wire: RunningWire) {
  // One step more than there are cores, which waits for a core. The other messages wait for their turn.
  const concurrency = CORES + 1
  const tracks = Array.from({ length: CORES + 3 }, (_, i) => `track-${i}`)
  const around = await surroundings(
    { derivatives: slow, concurrency, project: `sigterm-${wire.name.replace(/\W/g, '-')}` },
    { wire: wire.endpoint },
  )
  const { bus, database, config, folder, letters, published } = around
  let due = 0
  const counting: typeof bus = {
    ...bus,
    publish(topic, message) {
      if (topic === 'analyze') due++
      return bus.publish(topic, message)
    },
  }
  const rest = await allConsumers({ config, bus: counting, database, log, only: REST })
  t.teardown(async () => {
    await rest.close()
    await around.close()
  })
  for (const track of tracks) {
    await around.master(track, master)
    await around.submit({ asset_guid: track, derivative_assets: ['slow'] })
  }
  await until(() => due === tracks.length, 150_000)

  const begun = join(folder, 'begun')
  const count = async () =>
    (await readFile(begun, 'utf8').catch(() => '')).split('\n').length - 1
  const env = { SLOW_SECONDS: `${STEP_SECONDS}`, SLOW_LOG: begun }
  const service = startService('analyze/main.ts', config, env)
  t.teardown(() => service.child.kill('SIGKILL'))
  await service.ready
  await until(async () => (await count()) === CORES, 150_000)

  const back: { readonly track: string; readonly at: number }[] = []
  const options = { concurrency: 50, longestMs: 5000, onError: () => {} }
  const other = bus.subscribe('analyze', options, async ({ data }) => {
    const { request } = json(data, 'due') as { request: { asset_guid: string } }
    back.push({ track: request.asset_guid, at: performance.now() })
    return 'ack'
  })
  t.teardown(() => other.close())
  await lull(500)
  t.same(back, [], 'all are leased to the service')
  const asked = performance.now()
  service.child.kill('SIGTERM')
  await until(() => back.length >= tracks.length - CORES, 8_000)
  const ms = back.map(({ at }) => Math.round(at - asked))
  t.comment(`${wire.name}: given back ${ms.join(', ')} ms after SIGTERM`)
  t.equal(await service.exited, 0)
  const took = performance.now() - asked
  t.comment(`${wire.name}: ended ${(took / 1000).toFixed(1)} s after SIGTERM`)
  t.ok(took < 13_500, `${took} ms`)
  t.equal(await count(), CORES, 'nothing was begun any more')

  const finished = tracks.filter((track) => !back.some((each) => each.track === track))
  await until(() => finished.every((track) => published.has(track)), 150_000)
  const isKept = wire.knownFaults.includes(
    'the leases of a dead client are kept until they expire',
  )
  await lull(Math.max(soonMs, isKept ? asked + leaseMs - performance.now() : 0))
  const again = back.filter(({ track }) => finished.includes(track))
  t.same(again, [], 'what was finished has not come again')
  for (const track of finished) t.match(published.get(track), [{ state: 'done' }])
  t.same(letters, [])
}

t.test('a second signal ends a service at once', async (t) => {
  const around = await surroundings({ derivatives: slow, project: 'sigterm-twice' })
  const { bus, database, config, folder, published } = around
  const rest = await allConsumers({ config, bus, database, log, only: REST })
  const begun = join(folder, 'begun')
  const service = startService('analyze/main.ts', config, {
    SLOW_SECONDS: '60',
    SLOW_LOG: begun,
  })
  t.teardown(async () => {
    service.child.kill('SIGKILL')
    await rest.close()
    await around.close()
  })
  await service.ready
  await around.master('twice', master)
  await around.submit({ asset_guid: 'twice', derivative_assets: ['slow'] })
  await until(async () => (await readFile(begun, 'utf8').catch(() => '')) !== '', 60_000)
  service.child.kill('SIGTERM')
  await lull(300)
  t.equal(service.child.exitCode, null, 'the step may go on')
  const asked = performance.now()
  service.child.kill('SIGTERM')
  t.equal(await service.exited, 1)
  t.ok(
    performance.now() - asked < Math.min(patient(4_000), 8_500),
    'before the step has been aborted',
  )
  const next = await allConsumers({ config, bus, database, log, only: ['analyze'] })
  t.teardown(() => next.close())
  await until(() => published.has('twice'), 150_000)
})

t.test('a step that runs longer than the drain is aborted and given back', async (t) => {
  const around = await surroundings({ derivatives: slow, project: 'sigterm-drain' })
  const { bus, database, config, folder, published } = around
  const rest = await allConsumers({ config, bus, database, log, only: REST })
  const begun = join(folder, 'begun')
  const env = { SLOW_SECONDS: '600', SLOW_LOG: begun }
  const service = startService('analyze/main.ts', config, env)
  t.teardown(async () => {
    service.child.kill('SIGKILL')
    await rest.close()
    await around.close()
  })
  await service.ready
  await around.master('long', master)
  await around.submit({ asset_guid: 'long', derivative_assets: ['slow'] })
  await until(async () => (await readFile(begun, 'utf8').catch(() => '')) !== '', 60_000)
  const asked = performance.now()
  service.child.kill('SIGTERM')
  t.equal(await service.exited, 0, 'what ran has been given back in time')
  const took = performance.now() - asked
  t.ok(took > 8_500 && took < patient(13_500), `${took} ms`)
  const events = async () => (await trackHistory(database, 'long', { limit: 100 })).events
  await until(async () => (await events()).some(({ step }) => step === 'analyze'), 60_000)
  t.match(
    (await events()).filter(({ step }) => step === 'analyze'),
    [{ verdict: 'retry', sentence: /grace period/ }],
  )
  const next = await allConsumers({ config, bus, database, log, only: ['analyze'] })
  t.teardown(() => next.close())
  await until(() => published.has('long'), 150_000)
  t.match(published.get('long'), [{ state: 'done' }])
})
