import { readFileSync } from 'node:fs'
import t from 'tap'
import { openDatabase } from '#shared/catalogue/database.ts'
import { sweepJobs } from '#shared/catalogue/jobs/sweep-jobs.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'

/**
 * The role that terraform/outputs.tf appends to the connection string, and terraform/database.tf grants to both users.
 */
const ROLE = 'cloudsqlsuperuser'

t.test('ingest and publish share the tables, whichever of them creates them', async (t) => {
  const outputs = readFileSync('terraform/outputs.tf', 'utf8')
  const options = /\?(options=[^"]+)"/.exec(outputs)?.[1]
  t.equal(options, `options=-c%20role%3D${ROLE}`)

  const postgres = await testPostgres()
  t.teardown(() => postgres.stop())
  const dsn = await postgres.database()
  const admin = postgres.open(dsn)
  const name = new URL(dsn).pathname.slice(1)
  for (const text of [
    `create role ${ROLE}`,
    `alter database ${name} owner to ${ROLE}`,
    ...['ingest', 'publish'].flatMap((service) => [
      `create user "trackchain-${service}@example-project.iam"`,
      `grant ${ROLE} to "trackchain-${service}@example-project.iam"`,
    ]),
  ]) {
    await admin.query({ text })
  }

  for (const service of ['ingest', 'publish']) {
    const user = new URL(dsn)
    user.searchParams.set('user', `trackchain-${service}@example-project.iam`)
    const database = openDatabase({ dsn: `${user}&${options}` })
    t.teardown(() => database.close())
    await migrate(database)
    t.same(await sweepJobs(database, { olderThanSeconds: 1, limit: 1, sweptLessThan: 1 }), [])
  }
  const owners = await admin.query<{ tableowner: string }>({
    text: "select distinct tableowner from pg_tables where schemaname = 'public'",
  })
  t.same(owners, [{ tableowner: ROLE }])
})
