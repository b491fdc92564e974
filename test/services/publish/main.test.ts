import { randomUUID } from 'node:crypto'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { listLetters } from '#shared/catalogue/letters/read-letters.ts'
import { json } from '#shared/contracts/message.ts'
import { Callback } from '#shared/contracts/messages/callback.ts'
import type { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { Events } from '#shared/contracts/messages/event.ts'
import { RunEnded } from '#shared/contracts/messages/run.ts'
import { CALLBACKS_TOPIC } from '#shared/contracts/topology.ts'
import { send } from '#shared/frame/step.ts'
import { accepted, ended, event, jobOf } from '../../shared/catalogue/fixture.ts'
import { surroundings, until } from '../../support/chain.ts'
import { startService } from '../../support/processes/service.ts'

t.test('the process of publish does all that is its own: each is begun', async (t) => {
  const around = await surroundings(
    {
      ...{ watchdog_after_seconds: 1, event_retention_days: 30, callback_quiet_seconds: 1 },
      project: 'publish-main',
    },
    { keepsLetters: false },
  )
  const { bus, database, config, published } = around
  t.teardown(() => around.close())
  const old = accepted(['bpm'], { track: 'old' })
  const at = new Date(Date.now() - 31 * 86_400_000).toISOString()
  await recordEvents(database, [event(old, { at, verdict: 'done' })])
  const again: { track: string | undefined; run: string | undefined }[] = []
  const options = { concurrency: 5, longestMs: 5000, onError: () => {} }
  const ear = bus.subscribe('ingest', options, async ({ data, attributes }) => {
    const { asset_guid } = json(data, 'job') as EncodeJob
    again.push({ track: asset_guid, run: attributes.run })
    return 'ack'
  })
  t.teardown(() => ear.close())
  const callbacks: Callback[] = []
  const outside = bus.subscribe(CALLBACKS_TOPIC, options, async ({ data }) => {
    callbacks.push(Callback.parse(data))
    return 'ack'
  })
  t.teardown(() => outside.close())

  const service = startService('publish/main.ts', config)
  t.teardown(() => service.child.kill('SIGKILL'))
  await service.ready
  const [open, done] = ['open', 'done'].map((track) => accepted(['bpm'], { track }))
  if (open === undefined || done === undefined) throw new Error('none')
  await acceptJobs(database, [open])
  const released = { ...done, request: { ...done.request, release_id: 4711001 } }
  const { topic, data, attributes } = send('publish', RunEnded, ended(released))
  await bus.publish(topic, { data, attributes })
  const events = [event(done, { id: randomUUID(), at: new Date().toISOString() })]
  const history = send('events', Events, { events })
  await bus.publish(history.topic, history)
  await bus.publish('dead-letter', { data: Buffer.from('{}'), attributes: {} })

  await until(() => published.has('done'))
  await until(async () => (await jobOf(database, done.job))?.announced !== null)
  const tracked = async (track: string) =>
    (await trackHistory(database, track, { limit: 100 })).events
  await until(async () => (await tracked('done')).some(({ step }) => step === 'stage'))
  await until(async () => (await tracked('old')).length === 0)
  const letters = async () => (await listLetters(database, 'open', {}, { limit: 9 })).letters
  await until(async () => (await letters()).length === 1)
  await until(() => again.length > 0)
  t.same(again[0], { track: 'open', run: '1' })
  await until(async () => (await tracked('open')).some(({ verdict }) => verdict === 'swept'))
  await until(() => callbacks.length > 0)
  t.match(callbacks, [{ type: 'release.done', release_id: 4711001, state: 'done' }])
  service.child.kill('SIGTERM')
  t.equal(await service.exited, 0)
})
