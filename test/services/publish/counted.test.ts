import t from 'tap'
import { openCatalogue } from '#shared/catalogue/jobs/jobs.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { readLetter, setAsideAs } from '#shared/frame/dead-letter.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { commitMetrics } from '../../../services/publish/commit-metrics.ts'
import {
  accepted,
  again,
  catalogues,
  ended,
  event,
  failed,
  made,
} from '../../shared/catalogue/fixture.ts'
import { scraped } from '../../support/scraped.ts'

const fresh = await catalogues(t)

t.test('what a commit adds is counted once, however often it comes', async (t) => {
  const { dsn } = await fresh(t)
  const metrics = createMetrics('publish')
  const catalogue = openCatalogue({ dsn }, commitMetrics(metrics, ['bpm', 'key']))
  t.teardown(() => catalogue.close())
  const value = async (name: string) => (await scraped(metrics)).get(name)
  const completions = (asset: string) => value(`trackchain_completions_total{asset="${asset}"}`)
  const failures = (asset: string) => value(`trackchain_failures_total{asset="${asset}"}`)
  t.equal(await completions('bpm'), 0, 'shown before there is any')

  const run = accepted(['bpm', 'key'])
  const first = ended(run, { key: failed() })
  await catalogue.recordRuns([first, first])
  await catalogue.recordRuns([first])
  t.equal(await completions('bpm'), 1)
  t.equal(await completions('key'), 0)
  t.equal(await failures('key'), 1)

  // Its next run fails, and the one after that does not.
  for (const [number, key] of [failed(), made('key')].entries()) {
    const next = ended(again(run, { run: number + 2 }, ['key']), { key })
    await catalogue.recordRuns([next])
    await catalogue.recordRuns([next, next])
  }
  t.equal(await failures('key'), 2)
  t.equal(await completions('key'), 1)

  // The master was never read: there is no row for it, but there is a failure.
  await catalogue.recordRuns([ended(accepted(['bpm']), { bpm: failed() }, null)])
  t.equal(await failures('bpm'), 1)
  // Another job for the same track: all is there.
  const { request } = run
  await catalogue.recordRuns([ended(accepted(['bpm'], { track: request.asset_guid }))])
  t.equal(await completions('bpm'), 1)
  await catalogue.recordRuns([ended(accepted(['anything']))])
  t.equal(await completions('other'), 1, 'names that a message brings along are no labels')

  const events = [event(run), event(run), event(run, { step: 'anything', verdict: 'anything' })]
  await catalogue.recordEvents(events)
  await catalogue.recordEvents([...events, event(run, { verdict: 'failed' })])
  const recorded = 'trackchain_recorded_total'
  t.equal(await value(`${recorded}{step="stage",verdict="done"}`), 2)
  t.equal(await value(`${recorded}{step="stage",verdict="failed"}`), 1)
  t.equal(await value(`${recorded}{step="other",verdict="other"}`), 1)
  t.equal(await value(`${recorded}{step="watchdog",verdict="swept"}`), 0)

  const message = { id: '7', data: Buffer.from('no'), attributes: {}, attempt: 1 }
  const delivery = { ...message, published: new Date() }
  const error = new PermanentError('NOT_JSON', 'no')
  const letter = readLetter({ ...delivery, ...setAsideAs(delivery, 'encode', error), id: '8' })
  await catalogue.keepLetter(letter)
  await catalogue.keepLetter(letter)
  t.equal(await value('trackchain_dead_letters_total{step="encode"}'), 1)
  t.equal(await value('trackchain_swept_total'), 0)
})
