import t from 'tap'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { RunEnded } from '#shared/contracts/messages/run.ts'
import { setAsideAs } from '#shared/frame/dead-letter.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { commitMetrics } from '../../../services/publish/commit-metrics.ts'
import { eventRecorder } from '../../../services/publish/event-recorder.ts'
import { keepDeadLetters } from '../../../services/publish/keep-dead-letters.ts'
import { runRecorder } from '../../../services/publish/run-recorder.ts'
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
  const { database } = await fresh()
  const metrics = createMetrics('publish')
  const additions = commitMetrics(metrics, ['bpm', 'key'])
  const { record: recordRun } = runRecorder(database, additions)
  // A run that another call is announcing is refused once it is recorded.
  const recordRuns = (runs: readonly RunEnded[]) => Promise.allSettled(runs.map(recordRun))
  const recordEvents = eventRecorder(database, additions)
  const events = { report: async () => {} }
  const keep = keepDeadLetters({ database, events, log: createLog('t', 'fatal'), additions })
  const value = async (name: string) => (await scraped(metrics)).get(name)
  const completions = (asset: string) => value(`trackchain_completions_total{asset="${asset}"}`)
  const failures = (asset: string) => value(`trackchain_failures_total{asset="${asset}"}`)
  t.equal(await completions('bpm'), 0, 'shown before there is any')

  const run = accepted(['bpm', 'key'])
  const first = ended(run, { key: failed() })
  await recordRuns([first, first])
  await recordRuns([first])
  t.equal(await completions('bpm'), 1)
  t.equal(await completions('key'), 0)
  t.equal(await failures('key'), 1)

  // Its next run fails, and the one after that does not.
  for (const [number, key] of [failed(), made('key')].entries()) {
    const next = ended(again(run, { run: number + 2 }, ['key']), { key })
    await recordRuns([next])
    await recordRuns([next, next])
  }
  t.equal(await failures('key'), 2)
  t.equal(await completions('key'), 1)

  // The master was never read: there is no row for it, but there is a failure.
  await recordRuns([ended(accepted(['bpm']), { bpm: failed() }, null)])
  t.equal(await failures('bpm'), 1)
  // Another job for the same track: all is there.
  const { request } = run
  await recordRuns([ended(accepted(['bpm'], { track: request.asset_guid }))])
  t.equal(await completions('bpm'), 1)
  await recordRuns([ended(accepted(['anything']))])
  t.equal(await completions('other'), 1, 'names that a message brings along are no labels')

  const reported = [
    event(run),
    event(run),
    event(run, { step: 'anything', verdict: 'anything' }),
  ]
  await recordEvents(reported)
  await recordEvents([...reported, event(run, { verdict: 'failed' })])
  const recorded = 'trackchain_recorded_total'
  t.equal(await value(`${recorded}{step="stage",verdict="done"}`), 2)
  t.equal(await value(`${recorded}{step="stage",verdict="failed"}`), 1)
  t.equal(await value(`${recorded}{step="other",verdict="other"}`), 1)
  t.equal(await value(`${recorded}{step="watchdog",verdict="swept"}`), 0)

  const message = { id: '7', data: Buffer.from('no'), attributes: {}, attempt: 1 }
  const delivery = { ...message, published: new Date() }
  const error = new PermanentError('NOT_JSON', 'no')
  const letter = { ...delivery, ...setAsideAs(delivery, 'encode', error), id: '8' }
  t.same([await keep(letter), await keep(letter)], ['ack', 'ack'])
  t.equal(await value('trackchain_dead_letters_total{step="encode"}'), 1)
  t.equal(await value('trackchain_swept_total'), 0)
})
