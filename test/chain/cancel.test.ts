import t from 'tap'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { cancellationsAfter } from '#shared/catalogue/jobs/read-cancellations.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { listLetters } from '#shared/catalogue/letters/read-letters.ts'
import { findRelease } from '#shared/catalogue/releases/read-releases.ts'
import { Cancellations } from '#shared/frame/cancellations.ts'
import { eventSink } from '#shared/frame/events.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { cancelling } from '../../services/ingest/cancel/cancelling.ts'
import { letterActions } from '../../services/ingest/dead-letters/redrive.ts'
import { endRowsOnce } from '../../services/publish/end-cancelled.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { club } from '../support/synth.ts'

// The asset `slow` is still under way whenever it is cancelled.
process.env.SLOW_SECONDS = '3600'
const derivatives = new URL('../support/derivatives-slow', import.meta.url).pathname
const around = await surroundings({ derivatives })
const { database, config, bus, published, letters } = around
const log = createLog('cancel', 'silent')
t.teardown(() => around.close())

// Not read in place, so that there are samples in scratch.
const master = wav(club(48_000, { rate: 48_000 }), { rate: 48_000 })
const known = new Cancellations()
const { request: cancelled, release: releaseCancelled } = cancelling(database, () => {})
const consumers = (only?: readonly string[], cancellations = known) =>
  allConsumers({ config, bus, database, log, cancellations, ...(only && { only }) })

async function submitted(track: string, assets: string[], requestId = `request of ${track}`) {
  await around.master(track, master)
  await around.submit({ request_id: requestId, asset_guid: track, derivative_assets: assets })
  return requestId
}
const jobOf = async (track: string) =>
  (await jobsOfRequest(database, `request of ${track}`)).find((job) => job.track === track)
/** Cancels, and lets the services know, as their question to ingest would. */
async function cancel(requestId: string, track: string | null = null) {
  const said = await cancelled({ requestId, track, by: 'a person', reason: 'a test' })
  await tell()
  return said
}
async function tell() {
  const { cancellations } = await cancellationsAfter(database, 0, 1000)
  known.add(cancellations.map((each) => ({ ...each, before: each.before.toISOString() })))
}
const verdicts = async (track: string) => {
  const { events } = await trackHistory(database, track, { limit: 100 })
  return events.map(({ step, verdict }) => `${step} ${verdict}`).reverse()
}
const saysOf = (track: string, what: string) =>
  until(async () => (await verdicts(track)).includes(what))
async function scratchNames() {
  const names: string[] = []
  for await (const { name } of around.store('scratch').list('')) names.push(name)
  return names
}

t.test('a job that waits is not begun', async (t) => {
  const front = await consumers(['ingest', 'publish', 'events'])
  const request = await submitted('waits', ['slow'])
  await until(() => jobOf('waits'))
  t.match(await cancel(request), { ended: 1, left: false, asset_guid: null })
  const back = await consumers(['stage', 'analyze', 'encode'])
  await saysOf('waits', 'stage cancelled')
  await Promise.all([front.close(), back.close()])
  t.same(await verdicts('waits'), ['ingest accepted', 'operator cancelled', 'stage cancelled'])
  t.match(await jobOf('waits'), { state: 'cancelled', announced: null })
})

t.test('a unit that runs is aborted; asked again, the job is published', async (t) => {
  const all = await consumers()
  t.teardown(() => all.close())
  const request = await submitted('runs', ['waveform', 'slow'])
  await until(async () => (await jobOf('runs'))?.progress?.planned)
  await until(async () => (await scratchNames()).some((name) => name.includes('/wav/')))
  t.match(await cancel(request, 'runs'), { ended: 1, left: false, asset_guid: 'runs' })
  await saysOf('runs', 'analyze cancelled')
  t.same(await scratchNames(), [])
  t.match(await jobOf('runs'), {
    ...{ state: 'cancelled', announced: null, deadLettered: false },
    assets: { slow: null, waveform: null },
  })
  t.match(await cancel(request, 'runs'), { ended: 0, left: false }, 'asked twice')

  await submitted('runs', ['waveform'])
  await until(() => published.has('runs'))
  t.match(published.get('runs'), [{ state: 'done', run: 2, assets: [{ asset: 'waveform' }] }])
  await until(async () => (await jobOf('runs'))?.announced)
  t.match(await jobOf('runs'), { state: 'done', run: 2 })
  t.same(await scratchNames(), [])
  t.same(letters, [])
  await t.rejects(cancel(request), { code: 'HAS_ENDED' })
})

t.test('a release is cancelled: what runs of it and what waits, of two requests', async (t) => {
  const release_id = 4711
  const front = await consumers(['ingest', 'publish', 'events'])
  for (const track of ['r1', 'r2', 'of-none']) {
    await around.master(track, master)
    const named = track === 'of-none' ? {} : { release_id }
    const request_id = `request of ${track}`
    await around.submit({
      ...{ request_id, asset_guid: track, derivative_assets: ['waveform'] },
      ...named,
    })
    await until(() => jobOf(track))
  }
  const said = await releaseCancelled({
    release: release_id,
    by: 'a person',
    reason: 'a test',
  })
  t.match(said, { release_id, ended: 2, left: false, href: `/v1/releases/${release_id}` })
  await tell()
  const back = await consumers(['stage', 'analyze', 'encode'])
  t.teardown(() => Promise.all([front.close(), back.close()]))
  await saysOf('r1', 'stage cancelled')
  await saysOf('r2', 'stage cancelled')
  await until(() => published.has('of-none'))
  t.match(await findRelease(database, release_id), {
    state: 'cancelled',
    counts: { cancelled: 2 },
  })

  const again = { request_id: 'request of r1', asset_guid: 'r1', release_id }
  await around.submit({ ...again, derivative_assets: ['waveform'] })
  await until(() => published.has('r1'))
  t.match(published.get('r1'), [{ state: 'done', run: 2 }])
  await until(async () => (await jobOf('r1'))?.announced)
  t.match(await findRelease(database, release_id), {
    state: 'partial',
    counts: { done: 1, cancelled: 1 },
  })
})

t.test('while ingest does not answer work goes on, and the job stays cancelled', async (t) => {
  const all = await consumers(undefined, new Cancellations())
  t.teardown(() => all.close())
  const front = await submitted('away', ['waveform'])
  await until(() => jobOf('away'))
  await cancelled({ requestId: front, track: null, by: 'a person', reason: null })
  await saysOf('away', 'publish skipped')
  t.match(await jobOf('away'), {
    ...{ state: 'cancelled', announced: null },
    assets: { waveform: { state: 'made' } },
  })
  t.notOk(published.has('away'))
  t.same(letters, [])
})

t.test('the process ends between the row and the answer: publish ends the rest', async (t) => {
  const front = await consumers(['ingest', 'events'])
  t.teardown(() => front.close())
  const request = await submitted('killed', ['slow'])
  await until(() => jobOf('killed'))
  const cut = {
    ...database,
    query: async () => {
      throw new Error('the process has ended')
    },
  }
  const { request: half } = cancelling(cut as never, () => {})
  t.match(await half({ requestId: request, track: null, by: 'x', reason: null }), {
    left: true,
  })
  t.match(await jobOf('killed'), { state: 'accepted' })
  t.equal(await endRowsOnce(database, new AbortController().signal), 1)
  t.match(await jobOf('killed'), { state: 'cancelled' })
  t.equal(await endRowsOnce(database, new AbortController().signal), 0)
})

t.test('a copy of a message from before does not bring a job back', async (t) => {
  const front = await consumers(['ingest', 'events'])
  const request = await submitted('copied', ['slow'])
  await until(() => jobOf('copied'))
  await front.close()
  await submitted('copied', ['slow'])
  await new Promise((resolve) => setTimeout(resolve, 5))
  await cancel(request)
  const all = await consumers()
  t.teardown(() => all.close())
  await until(async () => {
    const found = await verdicts('copied')
    return found.filter((each) => each === 'stage cancelled').length === 2
  })
  t.match(await jobOf('copied'), { state: 'cancelled', run: 1 })
})

t.test('a letter of a cancelled job that is redriven runs as asked again', async (t) => {
  const all = await consumers()
  t.teardown(() => all.close())
  const request = 'request of letter'
  await around.submit({
    ...{ request_id: request, asset_guid: 'letter', derivative_assets: ['waveform'] },
  })
  await until(() => letters.length === 1)
  const found = await until(async () => {
    const page = await listLetters(database, 'open', { track: 'letter' }, { limit: 1 })
    return page.letters[0]
  })
  // Another run of the same job is under way when it is cancelled.
  await around.master('letter', master)
  await submitted('letter', ['waveform', 'slow'])
  await until(async () => (await jobOf('letter'))?.assets.slow === null)
  await cancel(request)
  await saysOf('letter', 'operator cancelled')
  const operator = letterActions({ bus, events: eventSink(bus), database })
  const pace = { rate: 10, limit: 1, mostMs: 5000, signal: new AbortController().signal }
  t.match(await operator.preview({ ids: [found.id] }, 1), [{ status: 'redrivable', run: 2 }])
  t.match(await operator.redrive({ ids: [found.id] }, 'x', pace), [
    { status: 'redriven', run: 2 },
  ])
  await until(() => published.get('letter')?.some(({ state }) => state === 'done'))
  t.match(published.get('letter')?.at(-1), { run: 2, assets: [{ asset: 'waveform' }] })
})
