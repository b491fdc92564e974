import t from 'tap'
import { openDatabase, ping } from '#shared/catalogue/database.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import { watchedDatabase } from '#shared/catalogue/watched-database.ts'
import type { Operation, Upstream } from '#shared/frame/upstreams/breaker.ts'
import { blackHole } from '../../support/fakes/black-hole.ts'
import { timeLimit, until } from '../../support/patience.ts'
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
  await acceptJobs(database, [run])
  await database.transaction(async (query) => {
    await query({ text: 'select from job for update' })
    await t.rejects(recordRuns(hasty, [ended(run)]), { code: '57014' })
  })
  t.equal((await recordDue(database, [ended(run)])).length, 1)
})

t.test(
  'statements that are given up are cancelled on the server, and never more than the pool run',
  async (t) => {
    const { dsn, database } = await fresh()
    const few = openDatabase({ dsn, poolSize: 3, application: 'few' })
    t.teardown(() => few.close())
    const running = async () => {
      const text = `select state from pg_stat_activity where application_name = 'few'`
      const all = await database.query<{ state: string }>({ text })
      t.ok(all.length <= 3, `${all.length} connections`)
      return all.filter(({ state }) => state === 'active').length
    }
    const enough = new AbortController()
    const slow = Array.from({ length: 8 }, () =>
      few.query({ text: 'select pg_sleep(600)' }, [], enough.signal),
    )
    const rejected = slow.map((each) => t.rejects(each, { message: 'enough' }))
    await eventually(async () => {
      if ((await running()) < 3) throw new Error('not there yet')
    })
    enough.abort(new Error('enough'))
    await Promise.all(rejected)
    await eventually(async () => {
      if ((await running()) > 0) throw new Error('still running')
    })
    await ping(few)
  },
)

t.test('a connection that hangs when it is given up is not used again', async (t) => {
  const { dsn } = await fresh()
  const { searchParams } = new URL(dsn.replace('///', '//unix/'))
  const link = await blackHole(`${searchParams.get('host')}/.s.PGSQL.5432`)
  const one = openDatabase({
    dsn: dsn.replace(/host=[^&]*/, `host=127.0.0.1&port=${link.port}`),
    poolSize: 1,
  })
  t.teardown(async () => {
    await one.close()
    await link.close()
  })
  await ping(one)
  link.swallow('openOnly')
  const stop = new AbortController()
  const hanging = t.rejects(ping(one, stop.signal), { message: 'enough' })
  setTimeout(() => stop.abort(new Error('enough')), 50)
  await hanging
  await ping(one, timeLimit(5_000))
})

/** Tries until it succeeds. */
function eventually(work: () => Promise<unknown>): Promise<unknown> {
  return until(() =>
    work().then(
      () => true,
      () => false,
    ),
  )
}

t.test('what fails elsewhere within a transaction is no fault of the database', async (t) => {
  const { database } = await fresh()
  const expected: boolean[] = []
  const upstream = {
    call<T>(act: () => Promise<T>, { isExpected }: Operation) {
      return act().catch((error) => {
        expected.push(isExpected?.(error) === true)
        throw error
      })
    },
  }
  const watched = watchedDatabase(database, upstream as unknown as Upstream)
  const elsewhere = watched.transaction(async (query) => {
    await query({ text: 'select 1' })
    throw new Error('Pub/Sub does not answer')
  })
  await t.rejects(elsewhere, /Pub\/Sub/)
  const own = watched.transaction((query) =>
    query({ text: 'select pg_terminate_backend(pg_backend_pid())' }),
  )
  await t.rejects(own)
  await t.rejects(watched.transaction((query) => query({ text: 'select 1 / 0' })))
  t.same(expected, [true, false, true])
})
