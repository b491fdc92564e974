import t from 'tap'
import { openCatalogue } from '#shared/catalogue/jobs/jobs.ts'
import { accepted, catalogues, ended } from './fixture.ts'

const fresh = await catalogues(t)
const KILL = {
  text: `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`,
}

t.test('connections that are lost while idle cost nothing but an error at most', async (t) => {
  const { catalogue, database } = await fresh(t)
  const run = accepted(['bpm'])
  await catalogue.acceptJobs([run])
  for (let round = 0; round < 3; round++) {
    await Promise.allSettled([catalogue.ping(), catalogue.ping(), catalogue.ping()])
    await database.query(KILL)
    await eventually(() => catalogue.ping())
    t.equal((await catalogue.job(run.job))?.job, run.job)
  }
})

t.test(
  'a batch that loses its connection half-way is not there, and can be repeated',
  async (t) => {
    const { catalogue, database } = await fresh(t)
    const [one, two] = [accepted(['bpm']), accepted(['bpm'])]
    await catalogue.acceptJobs([one, two])
    // Somebody holds the table that is written last but one, so that the batch stands in the middle.
    await database.transaction(async (query) => {
      await query({ text: 'lock table asset in exclusive mode' })
      const recording = catalogue.recordRuns([ended(one), ended(two)])
      const rejected = t.rejects(recording)
      await eventually(async () => {
        const waiting = await query({ text: 'select 1 from pg_locks where not granted' })
        if (waiting.length === 0) throw new Error('not there yet')
      })
      await query(KILL)
      await rejected
    })
    t.equal(await catalogue.track(one.request.asset_guid), undefined)
    t.equal((await catalogue.recordRuns([ended(one), ended(two)])).length, 2)
  },
)

t.test('a call that is aborted ends at once, and the next one is well', async (t) => {
  const { catalogue, database } = await fresh(t)
  const run = accepted(['bpm'])
  await catalogue.acceptJobs([run])
  const stop = new AbortController()
  await database.transaction(async (query) => {
    await query({ text: 'select from job for update' })
    const recording = catalogue.recordRuns([ended(run)], stop.signal)
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await t.rejects(recording, { message: 'enough' })
  })
  await t.rejects(catalogue.ping(stop.signal), { message: 'enough' })
  t.equal((await catalogue.recordRuns([ended(run)])).length, 1)
})

t.test('a database that is not there is an error that names what was tried', async (t) => {
  const nobody = openCatalogue({ dsn: 'postgresql:///db?host=/nowhere&user=nobody' })
  t.teardown(() => nobody.close())
  await t.rejects(nobody.ping(), { code: 'ENOENT' })
  await t.rejects(nobody.recordRuns([ended(accepted(['bpm']))]), { code: 'ENOENT' })
})

t.test('a statement that takes too long is given up', async (t) => {
  const { dsn, database } = await fresh(t)
  const hasty = openCatalogue({ dsn, statementMs: 100 })
  t.teardown(() => hasty.close())
  const run = accepted(['bpm'])
  await hasty.acceptJobs([run])
  await database.transaction(async (query) => {
    await query({ text: 'select from job for update' })
    await t.rejects(hasty.recordRuns([ended(run)]), { code: '57014' })
  })
  t.equal((await hasty.recordRuns([ended(run)])).length, 1)
})

/** Tries until it succeeds, for 5 s. */
async function eventually(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await work()
      return
    } catch (error) {
      if (tries === 250) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
