import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { FFMPEG_NEEDS } from '#shared/audio/ffmpeg-needs.ts'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { MIGRATIONS } from '#shared/catalogue/schema/migrations.ts'
import { ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { configEnv, readConfig } from '#shared/frame/config.ts'
import type { Config } from '#shared/frame/settings.ts'
import { preflight as preflightCommand } from '../../../tools/cli/commands/preflight.ts'
import { startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import type { Finding } from '../../../tools/preflight/check.ts'
import { type PreflightOptions, preflight } from '../../../tools/preflight/run-preflight.ts'
import { startIamServer } from '../../support/fakes/iam-server.ts'

const ROUTES = ['cloud', 'onprem-a']
const PROJECT = 'preflight'
/** Skips the detection of Google's cloud. */
const env = { METADATA_SERVER_DETECTION: 'none' }
/** A limit that the checks never reach: the speed of this machine is not tested. */
const limitMs = 300_000
const CLI = new URL('../../../tools/cli/cli.ts', import.meta.url).pathname

const postgres = await testPostgres()
const migrated = await postgres.database()
const server = await startPubsubServer({ port: 0, file: ':memory:' })
const pubsub = `127.0.0.1:${server.port}`
const database = openDatabase({ dsn: migrated })
await migrate(database)
const bus = pubsubBus({ projectId: PROJECT, endpoint: pubsub })
await bus.ensure(topology(ROUTES, ONE_MACHINE))
/** What ingest answers to who brings the right token, if any is wanted. */
let ingestAnswers: { status: number; token?: string } = { status: 200 }
const ingest = createHttpServer(({ headers }, response) => {
  const { status, token } = ingestAnswers
  const isIn = token === undefined || headers.authorization === `Bearer ${token}`
  const body = '{"cancellations":[],"last":0}'
  response.writeHead(isIn ? status : 401).end(body)
})
await new Promise<void>((resolve) => ingest.listen(0, '127.0.0.1', resolve))
t.teardown(async () => {
  ingest.close()
  ingest.closeAllConnections()
  await bus.close()
  await database.close()
  await server.close()
  await postgres.stop()
})

/** A sound deployment with the changes of a test. */
async function deployment(t: Test, changed: Partial<Config> = {}) {
  const folder = t.testdir()
  const at = (name: string) => `file://${join(folder, name)}`
  for (const name of ['masters', 'assets', 'scratch', 'uploads'])
    await mkdir(join(folder, name))
  const route = { templates: [], prefixes: [], core_slowdown: 1 }
  const settings: Partial<Config> = {
    ...{ project: PROJECT, pubsub, database: migrated },
    ingest: `http://127.0.0.1:${(ingest.address() as AddressInfo).port}`,
    ...{ assets: at('assets'), scratch: at('scratch'), uploads: at('uploads') },
    routes: {
      cloud: { ...route, templates: [`${at('masters')}/{asset_guid}.wav`] },
      'onprem-a': route,
    },
    ...changed,
  }
  return { folder, settings, config: readConfig(configEnv(settings)) }
}

async function looked(config: Config, options: PreflightOptions = {}) {
  const findings = await preflight(config, { env, limitMs, measuresSpeed: false, ...options })
  return {
    findings,
    /** The one finding whose check begins with this. */
    of: (check: string): Finding | undefined => {
      const isOfLane = /[.](urgent|backfill)\b/
      const found = findings.filter(
        (finding) => finding.check.startsWith(check) && !isOfLane.test(finding.check),
      )
      return found.length === 1 ? found[0] : undefined
    },
    /** The checks with a fault or a warning, without those of speed. */
    bad: findings
      .filter(({ state }) => state === 'fault' || state === 'warning')
      .map(({ check }) => check)
      .filter((check) => !check.endsWith(' speed')),
  }
}

t.test('a sound deployment passes, and says what is unknown there', async (t) => {
  const { config, folder } = await deployment(t)
  const cloud = { ...config.routes.cloud, core_slowdown: 20 } as Config['routes'][string]
  Object.assign(config.routes, { cloud })
  await writeFile(join(folder, 'masters', 'one.wav'), 'RIFF')
  const { findings, of, bad } = await looked(config, { measuresSpeed: true })
  t.same(bad, [])
  const unknown = findings.filter(({ state }) => state === 'unknown')
  t.ok(
    unknown.every(({ check, found }) => /^dead-letter grant/.test(check) && /IAM/.test(found)),
  )
  t.equal(unknown.length, 1 + 9 + 2 * 7, 'the topic and each consumed subscription')
  t.match(of('masters'), { state: 'ok', found: 'read one.wav' })
  t.match(of('subscription encode-onprem-a'), { state: 'ok', found: /7 days.*after 50/ })
  t.match(of('database'), { state: 'ok', found: `answers; schema ${MIGRATIONS.length}` })
  t.match(of('clock'), { state: 'ok', found: /the database/ })
  t.match(of('scratch speed')?.found, /writes \d+ MB\/s, reads \d+ MB\/s/)
  const inTime = /takes [\d.]+ times as long .* route cloud is 20$/
  t.match(of('core speed'), { state: 'ok', found: inTime })
  t.same(await readdir(join(folder, 'scratch')), [], 'scratch is as it was')
  t.same(await readdir(join(folder, 'assets', 'preflight')), ['probe'])
  t.match((await looked(config)).of('assets'), { state: 'ok' }, 'again, with that in place')
})

t.test('services that cannot ask ingest what was cancelled are found', async (t) => {
  const { config } = await deployment(t)
  const of = async (changed: Partial<Config> = {}) =>
    (await looked({ ...config, ...changed }, { service: 'analyze' })).of('ingest')
  t.match(await of(), { state: 'ok', found: /answers: 0 cancellations in 32 days/ })
  ingestAnswers = { status: 200, token: 'right' }
  t.match(await of({ ingest_token: 'right' }), { state: 'ok' })
  t.match(await of(), { state: 'warning', remedy: /TRACKCHAIN_INGEST_TOKEN/ })
  ingestAnswers = { status: 503 }
  t.match(await of(), { state: 'warning', found: /answers 503/ })
  ingestAnswers = { status: 200 }
  t.match(await of({ ingest: '' }), { state: 'warning', found: /not set/ })
  t.match(await of({ ingest: 'http://127.0.0.1:1' }), { state: 'warning', found: /not answer/ })
  const { of: ofPublish } = await looked(config, { service: 'publish' })
  t.equal(ofPublish('ingest'), undefined, 'publish need not ask')
})

t.test('each fault of topics and subscriptions is found and named', async (t) => {
  const project = `faults-${process.pid}`
  const { config } = await deployment(t, { project })
  const faulty = pubsubBus({ projectId: project, endpoint: pubsub })
  t.teardown(() => faulty.close())
  const all = topology(ROUTES, ONE_MACHINE)
  const spec = (name: string) => {
    const found = all.subscriptions.find((each) => each.name === name)
    if (!found) throw new Error(name)
    return found
  }
  const left = ['analyze', 'dead-letter', 'encode', 'publish', 'events', 'stage', 'ingest']
  await faulty.ensure({
    ...all,
    topics: [...all.topics.filter((name) => name !== 'stage-onprem-a'), 'elsewhere'],
    subscriptions: all.subscriptions.filter(
      ({ name }) => ![...left, 'stage-onprem-a'].includes(name),
    ),
  })
  const { maxDeliveryAttempts: _, ...unlettered } = spec('encode')
  const subscriptions = [
    unlettered,
    { ...spec('publish'), retentionSeconds: 3600 },
    { ...spec('stage'), topic: 'published' },
    { ...spec('ingest'), minBackoffSeconds: 5 },
  ]
  await faulty.ensure({ ...all, topics: [], subscriptions })
  const astray = [{ ...spec('analyze-onprem-a'), name: 'events', topic: 'events' }]
  await faulty.ensure({
    ...all,
    topics: [],
    deadLetterTopic: 'elsewhere',
    subscriptions: astray,
  })

  const { of, bad } = await looked(config)
  t.match(of('topic stage-onprem-a'), { state: 'fault', found: 'no such topic' })
  t.match(of('subscription stage-onprem-a'), { state: 'fault', found: /^no such/ })
  t.match(of('subscription analyze'), undefined, 'two begin so')
  t.match(of('subscription dead-letter'), { state: 'fault', found: /dead-lettered is lost/ })
  t.match(of('subscription encode-onprem-a'), { state: 'ok' })
  t.match(of('subscription publish'), undefined, 'published, too')
  const named = new Map(
    (await looked(config, { service: 'publish' })).findings.map((each) => [each.check, each]),
  )
  t.match(named.get('subscription publish'), { state: 'fault', found: /for 0.04 days only/ })
  t.match(named.get('subscription events'), { state: 'fault', found: /topics\/elsewhere/ })
  t.match(of('subscription ingest'), { state: 'warning', found: /back-off is 5 to 60 s/ })
  for (const name of ['encode', 'stage', 'analyze']) {
    t.ok(bad.includes(`subscription ${name}`), name)
  }
  const encode = await looked(config, { service: 'encode' })
  t.match(encode.of('subscription encode'), { found: /no dead-letter policy/ })
  const stage = await looked(config, { service: 'stage' })
  t.match(stage.of('subscription stage'), { found: /topics\/published/ })
  t.match(encode.of('topic stage-onprem-a'), undefined, 'not a matter of this service')
})

t.test(
  'grants, filters and missing permissions, which only the cloud has, are checked',
  async (t) => {
    const cloud = await startIamServer()
    t.teardown(() => cloud.close())
    const { config } = await deployment(t, { pubsub: cloud.endpoint })
    const topic = (name: string) => `projects/${PROJECT}/topics/${name}`
    const subscription = (name: string) => `projects/${PROJECT}/subscriptions/${name}`
    const agent = 'serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com'
    const all = topology(ROUTES, ONE_MACHINE)
    for (const name of all.topics) cloud.topics.add(topic(name))
    for (const spec of all.subscriptions) {
      const { maxDeliveryAttempts } = spec
      cloud.subscriptions.set(subscription(spec.name), {
        topic: topic(spec.topic),
        ackDeadlineSeconds: spec.ackDeadlineSeconds,
        messageRetentionDuration: { seconds: spec.retentionSeconds },
        expirationPolicy: {},
        retryPolicy: { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 60 } },
        ...(maxDeliveryAttempts && {
          deadLetterPolicy: { deadLetterTopic: topic('dead-letter'), maxDeliveryAttempts },
        }),
      })
      const bindings = [{ role: 'roles/pubsub.subscriber', members: ['user:a@b.c', agent] }]
      cloud.policies.set(subscription(spec.name), bindings)
    }
    const published = { role: 'roles/pubsub.publisher', members: [agent] }
    cloud.policies.set(topic('dead-letter'), [published])
    const sound = await looked(config, { service: 'publish' })
    t.same(sound.bad, [])
    t.match(sound.of('dead-letter grant on topic'), { state: 'ok', found: /^service-123@/ })
    t.match(sound.of('topic published'), { found: 'there, may be published to' })

    cloud.policies.set(topic('dead-letter'), [{ ...published, condition: { expression: 'x' } }])
    cloud.policies.set(subscription('events'), [{ ...published, role: 'roles/pubsub.viewer' }])
    const planted = (name: string, more: object) =>
      cloud.subscriptions.set(subscription(name), {
        ...cloud.subscriptions.get(subscription(name)),
        ...more,
      })
    planted('publish', { filter: 'attributes.route = "cloud"', enableMessageOrdering: true })
    planted('events', { expirationPolicy: { ttl: { seconds: 86_400 } }, detached: true })
    planted('dead-letter', { expirationPolicy: null, retryPolicy: null })
    const faulty = await looked(config, { service: 'publish' })
    t.match(faulty.of('dead-letter grant on topic dead-letter'), {
      state: 'fault',
      remedy: /add-iam-policy-binding dead-letter --role=roles\/pubsub.publisher/,
    })
    t.match(faulty.of('dead-letter grant on subscription events'), { state: 'fault' })
    t.match(faulty.of('dead-letter grant on subscription publish'), { state: 'ok' })
    t.match(faulty.of('subscription publish'), {
      state: 'fault',
      found: /filter attributes.route = "cloud".*ordering is on/,
    })
    t.match(faulty.of('subscription events'), {
      found: /cannot be pulled.*after 1 days of disuse/,
    })
    t.match(faulty.of('subscription dead-letter'), {
      found: /after 31 days of disuse; no back-off/,
    })

    for (const permission of ['get', 'getIamPolicy', 'consume'])
      cloud.lacking.add(`pubsub.subscriptions.${permission}`)
    cloud.lacking.add('pubsub.topics.get')
    const blind = await looked(config, { service: 'publish' })
    t.match(blind.of('topic published'), { state: 'unknown', found: /^there, may be used/ })
    t.match(blind.of('subscription publish'), {
      state: 'fault',
      found: /lacks pubsub.subscriptions.consume.*pubsub.subscriptions.get is missing/,
    })
    t.match(blind.of('dead-letter grant on subscription publish'), {
      state: 'unknown',
      found: 'pubsub.subscriptions.getIamPolicy is missing',
    })
  },
)

t.test(
  'a core that is slower than its route says is reported, with the right figure',
  async (t) => {
    const { config } = await deployment(t, {
      routes: { cloud: { templates: [], prefixes: [], core_slowdown: 0.1 } },
    })
    const { of } = await looked(config, { service: 'encode', measuresSpeed: true })
    t.match(of('core speed'), {
      ...{ state: 'warning', found: /core_slowdown of the route cloud is 0\.1$/ },
      remedy: /^give the route cloud the core_slowdown [\d.]+, in TRACKCHAIN_ROUTES/,
    })
  },
)

t.test('a folder that is missing, or that can not be written to, is a fault', async (t) => {
  const missing = await deployment(t)
  await rm(join(missing.folder, 'assets'), { recursive: true })
  await rm(join(missing.folder, 'masters'), { recursive: true })
  // No user can make a file there, root included.
  const config = { ...missing.config, scratch: 'file:///sys/kernel' }
  const { of } = await looked(config, { service: 'analyze', measuresSpeed: true })
  t.match(of('assets'), { state: 'fault', found: /ENOENT/, remedy: /mounted/ })
  t.match(of('masters'), { state: 'fault', found: /ENOENT/ })
  t.match(of('scratch '), { state: 'fault', found: /EPERM|EACCES|EROFS/ })
  t.equal(of('scratch speed'), undefined, 'nothing to measure')
})

t.test('buckets are checked', async (t) => {
  const gcs = await startGcsServer('masters', 'assets', 'scratch', 'uploads')
  t.teardown(() => gcs.close())
  const { config } = await deployment(t, {
    storage: gcs.endpoint,
    ...{ assets: 'gs://assets', scratch: 'gs://scratch/runs', uploads: 'gs://uploads/' },
    routes: {
      cloud: { templates: ['gs://masters/{asset_guid}.wav'], prefixes: [], core_slowdown: 1 },
    },
  })
  const dayOld = (condition: object) => ({
    lifecycle: { rule: [{ action: { type: 'Delete' }, condition: { age: 1, ...condition } }] },
  })
  gcs.settings.set('scratch', dayOld({ matchesPrefix: ['runs/'] }))
  gcs.put('masters', 'one.wav', Buffer.from('RIFF'))
  const service = 'analyze'
  const sound = await looked(config, { service })
  t.same(sound.bad, [])
  t.match(sound.of('masters gs://masters'), { found: 'read one.wav' })
  t.match(sound.of('scratch gs://'), { found: /removes; refuses to overwrite/ })
  t.match(sound.of('region'), { state: 'ok', found: /scratch in europe-west1/ })
  t.match(sound.of('clock'), { state: 'ok', found: /Cloud Storage/ })
  t.equal(gcs.buckets.get('scratch')?.size, 0)
  t.same([...(gcs.buckets.get('assets')?.keys() ?? [])], ['preflight/probe'])

  gcs.settings.set('scratch', {
    ...dayOld({ matchesPrefix: ['other/'] }),
    softDeletePolicy: { retentionDurationSeconds: '604800' },
    versioning: { enabled: true },
    location: 'US',
  })
  gcs.settings.set('assets', {
    ...dayOld({}),
    iamConfiguration: { publicAccessPrevention: 'inherited' },
  })
  gcs.clockAheadMs = 60_000
  const faulty = await looked(config, { service })
  t.match(faulty.of('bucket gs://scratch'), {
    state: 'fault',
    found: /soft delete is on.*for 7 days; versioning is on.*; no rule of the lifecycle/,
    remedy: /--clear-soft-delete/,
  })
  t.match(faulty.of('bucket gs://assets'), {
    state: 'fault',
    found: /lifecycle deletes assets; access is not uniform; public access/,
  })
  t.match(faulty.of('region'), { state: 'warning', found: /us is no single region.*lie apart/ })
  t.match(faulty.of('clock'), { state: 'warning', found: /^5\d.* s behind Cloud Storage/ })

  const denied = / \/storage\/v1\/b\/[^/]+\?/
  gcs.faults.push({ on: denied, status: 403, times: 99 })
  gcs.faults.push({ on: /^DELETE/, status: 403, times: 99 })
  const poor = await looked(config, { service })
  t.match(poor.of('bucket gs://scratch'), { state: 'unknown', found: /storage.buckets.get/ })
  t.match(poor.of('region')?.found, /scratch in us/, 'the right to list is enough for that')
  t.match(poor.of('scratch gs://'), { state: 'fault', found: /403/, remedy: /objectUser/ })
  gcs.faults.length = 0
  gcs.buckets.delete('uploads')
  gcs.isCareless = true
  const careless = await looked(config, { service })
  t.match(careless.of('uploads gs://uploads'), {
    state: 'fault',
    found: /bucket does not exist/,
  })
  t.match(careless.of('assets gs://'), { state: 'fault', found: /probe was overwritten/ })
})

t.test('ffmpeg must support every format of masters', async (t) => {
  const { decoders, demuxers } = FFMPEG_NEEDS
  const folder = new URL('../../../services/stage/', import.meta.url)
  let named = 0
  const files = await readdir(folder, { recursive: true })
  for (const file of files.filter((name) => name.endsWith('.ts'))) {
    const source = await readFile(new URL(file, folder), 'utf8')
    for (const [, kind, name] of source.matchAll(/\b(decoder|demuxer): '(\w+)'/g)) {
      const there: readonly string[] = kind === 'decoder' ? decoders : demuxers
      t.ok(there.includes(name ?? ''), `${kind} ${name} of ${file}`)
      named++
    }
  }
  t.ok(named > 15, 'there are more than 15 today')
})

t.test('a database that is down, not migrated, or not ours is a fault', async (t) => {
  const service = 'publish'
  const { config } = await deployment(t)
  const at = async (database: string) =>
    (await looked({ ...config, database }, { service })).of('database')
  t.match(await at(await postgres.database()), { state: 'fault', found: 'not migrated' })
  t.match(await at('postgresql://nobody@127.0.0.1:1/none'), {
    state: 'fault',
    found: /ECONNREFUSED/,
  })
  const behind = await postgres.database()
  const old = openDatabase({ dsn: behind })
  await migrate(old)
  await old.close()
  const sql = postgres.open(behind)
  await sql.query({ text: `delete from migration where number = ${MIGRATIONS.length}` })
  const isFirst = MIGRATIONS.length === 1
  const found = isFirst ? 'not migrated' : /this release needs/
  t.match(await at(behind), { state: 'fault', found })
  const role = `poor_${process.pid}`
  await sql.query({ text: `create role ${role} login` })
  const poor = behind.replace(/user=[^&]*/, `user=${role}`)
  t.match(await at(poor), { state: 'fault', found: new RegExp(`user ${role} may not`) })
})

t.test('a check that hangs is a fault, and does not block the others', async (t) => {
  const held = new Set<{ destroy(): void }>()
  const deaf: Server = createServer((socket) => held.add(socket.on('error', () => {})))
  await new Promise<void>((listening) => deaf.listen(0, '127.0.0.1', listening))
  t.teardown(() => {
    for (const socket of held) socket.destroy()
    deaf.close()
  })
  const address = `127.0.0.1:${(deaf.address() as { port: number }).port}`
  const { config } = await deployment(t, {
    ...{ pubsub: address, storage: `http://${address}`, scratch: 'gs://scratch' },
    database: `postgresql://nobody@${address}/none`,
  })
  const { of } = await looked(config, { limitMs: 500 })
  const hung = { state: 'fault', found: 'no answer within 0.5 s' }
  t.match(of('database'), hung)
  t.match(of('scratch gs://'), hung)
  t.match(of('bucket gs://scratch'), hung)
  t.match(of('subscription ingest'), hung)
  t.match(of('dead-letter grant on topic'), hung)
  t.match(of('clock'), { state: 'unknown' })
})

t.test(
  'the command prints all findings, and its exit code says whether there are faults',
  async (t) => {
    const { settings, folder } = await deployment(t)
    const bin = join(folder, 'bin')
    await mkdir(bin)
    const { stdout: real } = await promisify(execFile)('which', ['ffmpeg'])
    const lame = `#!/bin/sh\n${real.trim()} "$@" | grep -v libmp3lame\n`
    await writeFile(join(bin, 'ffmpeg'), lame)
    await chmod(join(bin, 'ffmpeg'), 0o755)
    const run = async (args: readonly string[], more: Record<string, string> = {}) => {
      const all = { PATH: process.env.PATH, ...env, ...configEnv(settings), ...more }
      try {
        const argv = [CLI, 'preflight', '--limit=300', ...args]
        const { stdout } = await promisify(execFile)(process.execPath, argv, { env: all })
        return { code: 0, stdout, stderr: '' }
      } catch (error) {
        return error as { code: number; stdout: string; stderr: string }
      }
    }
    const sound = await run(['--for', 'analyze'])
    t.equal(sound.code, 0)
    t.match(sound.stdout, /^check +state +found +what to do\n/)
    t.match(sound.stdout, /\ntopic encode +ok +there, may be published to\n/)
    t.match(sound.stdout, /, 0 faults, /)
    const faulty = await run(['--for=encode', '--json'], { PATH: `${bin}:${process.env.PATH}` })
    t.equal(faulty.code, 1)
    const document = JSON.parse(faulty.stdout)
    t.match(document, { service: 'encode', sound: false })
    t.match(
      document.findings.filter(({ state }: Finding) => state === 'fault'),
      [{ check: 'ffmpeg', found: 'no encoder libmp3lame', remedy: /apt-get/ }],
    )
    const none = await run(['--for=encode', '--json'], { PATH: folder })
    t.match(
      JSON.parse(none.stdout).findings.find(({ check }: Finding) => check === 'ffmpeg'),
      { state: 'fault', found: 'ffmpeg is not on the PATH' },
    )
    const misspelt = await run([], { TRACKCHAIN_SCRATHC: 'x' })
    t.equal(misspelt.code, 1)
    t.match(misspelt.stdout, /configuration +fault +.*TRACKCHAIN_SCRATHC is not a setting/)
    const usage = { name: 'UsageError', message: /--for must be one of ingest, stage/ }
    await t.rejects(preflightCommand(['--for', 'nobody']), usage)
  },
)
