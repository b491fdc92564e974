import { randomUUID } from 'node:crypto'
import t from 'tap'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { claimLetter, settleLetter } from '#shared/catalogue/letters/claim-letters.ts'
import { keepLetter } from '#shared/catalogue/letters/keep-letter.ts'
import { listLetters } from '#shared/catalogue/letters/read-letters.ts'
import { Events } from '#shared/contracts/messages/event.ts'
import { send } from '#shared/frame/step.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { forgetOld } from '../../../services/publish/retention.ts'
import { ownPostgres } from '../../../tools/local/postgres/temporary.ts'
import { accepted, catalogues, event } from '../../shared/catalogue/fixture.ts'
import { surroundings, until } from '../../support/chain.ts'
import { startService } from '../../support/processes/service.ts'

t.test('a history is whole after recorder and database were away', async (t) => {
  const postgres = await ownPostgres()
  const { bus, config, database, close } = await surroundings({}, { postgres })
  t.teardown(close)
  const track = `track-${randomUUID()}`
  const run = accepted(['bpm'], { track })
  const report = async () => {
    // Of now: what is older than the retention would be removed at the recorder's start.
    const at = new Date().toISOString()
    const events = Array.from({ length: 100 }, () => event(run, { at }))
    const { topic, data, attributes } = send('events', Events, { events })
    await bus.publish(topic, { data, attributes })
    return events.map(({ id }) => id)
  }
  const seen = async () => (await trackHistory(database, track, { limit: 1000 })).events
  const first = startService('publish/main.ts', config)
  t.teardown(() => first.child.kill('SIGKILL'))
  await first.ready
  const ids = await report()
  await until(async () => (await seen()).length === 100, 120_000)
  first.child.kill('SIGKILL')
  await first.exited
  ids.push(...(await report()))
  await postgres.down()
  const second = startService('publish/main.ts', config)
  t.teardown(() => second.child.kill('SIGKILL'))
  ids.push(...(await report()), ...(await report()))
  await postgres.up()
  await until(async () => (await seen()).length >= ids.length, 120_000)
  t.same((await seen()).map(({ id }) => id).sort(), ids.sort(), 'each once')
})

t.test('rows older than the given days go, in batches; open letters stay', async (t) => {
  const fresh = await catalogues(t)
  const { database } = await fresh()
  const run = accepted(['bpm'], { track: 't' })
  const day = (days: number) => new Date(Date.now() - days * 86_400_000)
  const old = Array.from({ length: 25 }, () => event(run, { at: day(31).toISOString() }))
  const young = event(run, { at: day(29).toISOString() })
  await recordEvents(database, [...old, young])
  for (const id of ['settled', 'open', 'late']) {
    await keepLetter(database, {
      ...{ id, message: id, published: day(40), attributes: {}, body: Buffer.from('{}') },
      ...{ step: 'stage', code: 'NO_TRACK', reason: 'none', attempt: 1 },
    })
  }
  for (const id of ['settled', 'late']) {
    await claimLetter(database, id)
    await settleLetter(database, id, { by: 'ann', run: null, reason: 'gone' })
  }
  await database.query({
    text: `update dead_letter set settled_at = now() - interval '31 days' where id = 'settled'`,
  })
  const log = createLog('test', 'fatal')
  const { signal } = new AbortController()
  t.equal(await forgetOld({ database, days: 0, log }, signal, 10), 0, '0 keeps all')
  t.equal((await trackHistory(database, 't', { limit: 100 })).events.length, 26)
  t.equal(await forgetOld({ database, days: 30, log }, signal, 10), 25)
  t.match((await trackHistory(database, 't', { limit: 100 })).events, [{ id: young.id }])
  const { letters } = await listLetters(database, 'all', {}, { limit: 10 })
  t.same(letters.map(({ id }) => id).sort(), ['late', 'open'])
})
