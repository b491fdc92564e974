import t from 'tap'
import { openDatabase, ping } from '#shared/catalogue/database.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import { accepted, catalogues, ended, jobOf, recordDue } from './fixture.ts'

const fresh = await catalogues(t)
const KILL = {
  text: `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`,
}

t.test('connections that are lost while idle cost nothing but an error at most', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  for (let round = 0; round < 3; round++) {
    await Promise.allSettled([ping(database), ping(database), ping(database)])
    await database.query(KILL)
    await eventually(() => ping(database))
    t.equal((await jobOf(database, run.job))?.job, run.job)
  }
})

t.test(
  'a batch that loses its connection half-way is not there, and can be repeated',
  async (t) => {
    const { database } = await fresh()
    const [one, two] = [accepted(['bpm']), accepted(['bpm'])]
    await acceptJobs(database, [one, two])
    // Somebody holds the table that is written last but one, so that the batch stands in the middle.
    await database.transaction(async (query) => {
      await query({ text: 'lock table asset in exclusive mode' })
      const recording = recordDue(database, [ended(one), ended(two)])
      const rejected = t.rejects(recording)
      await eventually(async () => {
        const waiting = await query({ text: 'select 1 from pg_locks where not granted' })
        if (waiting.length === 0) throw new Error('not there yet')
      })
      await query(KILL)
      await rejected
    })
    t.equal(await findTrack(database, one.request.asset_guid), undefined)
    t.equal((await recordDue(database, [ended(one), ended(two)])).length, 2)
  },
)

t.test('a call that is aborted ends at once, and the next one is well', async (t) => {
  const { database } = await fresh()
  const run = accepted(['bpm'])
  await acceptJobs(database, [run])
  const stop = new AbortController()
  await database.transaction(async (query) => {
    await query({ text: 'select from job for update' })
    const recording = recordDue(database, [ended(run)], stop.signal)
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await t.rejects(recording, { message: 'enough' })
  })
  await t.rejects(ping(database, stop.signal), { message: 'enough' })
  t.equal((await recordDue(database, [ended(run)])).length, 1)
})

t.test('a database that is not there is an error that names what was tried', async (t) => {
  const nobody = openDatabase({ dsn: 'postgresql:///db?host=/nowhere&user=nobody' })
  t.teardown(() => nobody.close())
  await t.rejects(ping(nobody), { code: 'ENOENT' })
  await t.rejects(recordRuns(nobody, [ended(accepted(['bpm']))]), { code: 'ENOENT' })
})

t.test('a statement that takes too long is given up', async (t) => {
  const { dsn, database } = await fresh()
  const hasty = openDatabase({ dsn, statementMs: 100 })
  t.teardown(() => hasty.close())
  const run = accepted(['bpm'])
  await acceptJobs(hasty, [run])
  await database.transaction(async (query) => {
    await query({ text: 'select from job for update' })
    await t.rejects(recordRuns(hasty, [ended(run)]), { code: '57014' })
  })
  t.equal((await recordDue(hasty, [ended(run)])).length, 1)
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
