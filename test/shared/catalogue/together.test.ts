import t from 'tap'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { markAnnounced } from '#shared/catalogue/jobs/record-runs.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { MIGRATIONS } from '#shared/catalogue/schema/migrations.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { accepted, again, ended, event, failed, jobOf, recordDue } from './fixture.ts'

const postgres = await testPostgres()
t.teardown(() => postgres.stop())

t.test('services that start at once bring the schema up to date together', async (t) => {
  const dsn = await postgres.database()
  const services = pools(t, dsn, 8)
  await Promise.all(services.map((service) => migrate(service)))
  await Promise.all(services.map((service) => migrate(service)))
  const applied = await postgres
    .open(dsn)
    .query<{ number: number }>({ text: 'select number from migration order by number' })
  t.same(
    applied.map(({ number }) => number),
    MIGRATIONS.map((_, index) => index + 1),
  )
})

t.test('a schema newer than this release is left alone', async (t) => {
  const dsn = await postgres.database()
  const [service] = pools(t, dsn, 1) as [Database]
  await migrate(service)
  await postgres.open(dsn).query({ text: `insert into migration values (1000, 'later')` })
  await migrate(service)
  await acceptJobs(service, [accepted(['bpm'])])
})

t.test(
  'many processes record overlapping batches in any order, and there is no deadlock',
  async (t) => {
    const dsn = await postgres.database()
    const services = pools(t, dsn, 4)
    await migrate(services[0] as Database)
    // Few tracks and releases, so that jobs meet on their rows, and on those of masters and assets, as well.
    const runs = Array.from({ length: 60 }, (_, index) => {
      const run = accepted(['bpm', 'key'], { track: `track-${index % 7}` })
      return { ...run, request: { ...run.request, release_id: index % 3 } }
    })
    const redriven = runs.map((run) => again(run, { run: 2 }))
    const announced = new Set<string>()
    await Promise.all(
      Array.from({ length: 20 }, async (_, worker) => {
        const service = services[worker % services.length] as Database
        for (let round = 0; round < 4; round++) {
          const batch = shuffled(round < 2 ? runs : [...runs, ...redriven]).slice(0, 40)
          const verdicts = worker % 3 === 0 ? { key: failed() } : {}
          if (worker % 4 === 0) await acceptJobs(service, batch)
          if (worker % 4 === 1)
            await recordEvents(
              service,
              batch.map((run) => event(run, { verdict: 'accepted', request: run.request })),
            )
          const due = await recordDue(
            service,
            batch.map((run) => ended(run, verdicts)),
          )
          for (const { id } of due) announced.add(id)
          await markAnnounced(service, due)
        }
      }),
    )
    const [service] = services as [Database]
    const last = await recordDue(
      service,
      redriven.map((run) => ended(run)),
    )
    await markAnnounced(service, last)
    for (const { id } of last) announced.add(id)
    t.same(
      await recordDue(
        service,
        [...runs, ...redriven].map((run) => ended(run)),
      ),
      [],
    )
    for (const { job } of runs)
      t.match(await jobOf(service, job), { run: 2, state: 'done', announced: Date })
    t.ok(announced.size <= runs.length * 2, 'one announcement for each job and run')
  },
)

t.test(
  'of many that record the same run, all say the same, and none after it is marked',
  async (t) => {
    const dsn = await postgres.database()
    const services = pools(t, dsn, 4)
    await migrate(services[0] as Database)
    const run = accepted(['bpm'])
    const record = () =>
      Promise.all(services.map((service) => recordDue(service, [ended(run)])))
    const due = (await record()).flat()
    t.equal(new Set(due.map(({ id }) => id)).size, 1)
    await Promise.all(services.map((service) => markAnnounced(service, due.slice(0, 1))))
    t.same((await record()).flat(), [])
  },
)

function pools(t: { teardown(end: () => unknown): void }, dsn: string, count: number) {
  const services = Array.from({ length: count }, () => openDatabase({ dsn, poolSize: 3 }))
  t.teardown(() => Promise.all(services.map((service) => service.close())))
  return services
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
