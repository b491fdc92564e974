import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { configEnv } from '#shared/frame/config.ts'
import { start as startItself } from '../../../tools/cli/commands/start.ts'
import { startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { chainSettings, refuseOverridden } from '../../../tools/local/chain-settings.ts'
import { takeDataFolder } from '../../../tools/local/data-folder.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { wav } from '../../support/audio.ts'
import { patient, until } from '../../support/patience.ts'
import { npmStart, runCli } from '../../support/processes/cli.ts'
import { noise } from '../../support/synth.ts'

t.setTimeout(patient(240_000))

const ASSETS = ['aac-128', 'waveform', 'loudness']

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

t.test('npm start keeps its stores in buckets, as flags and variables say', async (t) => {
  const server = await startGcsServer('masters', 'assets', 'scratch', 'uploads')
  t.teardown(() => server.close())
  // The permissions of the chain's identities: objects may be removed from scratch only.
  server.denied = /^DELETE \/storage\/v1\/b\/(masters|assets|uploads)\//
  const held = (bucket: string) => [...(server.buckets.get(bucket)?.keys() ?? [])]
  const master = wav([noise(90_000), noise(90_000, { seed: 2 })])
  server.put('masters', 'first.wav', master)
  const data = await folder(t)
  const flags = [
    ...['--assets', 'gs://assets/made', '--scratch', 'gs://scratch'],
    ...['--masters', 'gs://masters/{asset_guid}.wav', '--gcs-endpoint', server.endpoint],
  ]
  const postgres = await testPostgres()
  t.teardown(() => postgres.stop())
  const chain = await npmStart(data, flags, {
    TRACKCHAIN_UPLOADS: 'gs://uploads',
    TRACKCHAIN_DATABASE: await postgres.database(),
  })
  t.teardown(() => chain.close())
  const { url } = chain
  t.match(chain.said(), 'assets   gs://assets/made')

  const form = new FormData()
  form.set('file', new Blob([wav([noise(90_000, { seed: 3 }), noise(90_000)])]), 'second.wav')
  form.set('asset_guid', 'second')
  form.set('derivative_assets', ASSETS.join())
  const sent = await Promise.all([
    fetch(`${url}/v1/jobs`, { method: 'POST', body: form }),
    fetch(`${url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ asset_guid: 'first', derivative_assets: ASSETS }),
    }),
  ])
  for (const response of sent) {
    t.equal(response.status, 202)
    const { request_id } = (await response.json()) as { request_id: string }
    const state = await until(async () => {
      const answer = await fetch(`${url}/v1/jobs/${request_id}`)
      const { state } = (await answer.json()) as { state?: string }
      return ['done', 'partial', 'failed'].find((end) => end === state)
    })
    t.equal(state, 'done')
  }
  for (const guid of ['first', 'second'])
    for (const asset of ASSETS)
      t.ok(
        held('assets').some(
          (name) => name.startsWith(`made/assets/${guid}/`) && name.includes(`/${asset}@`),
        ),
        `${asset} of ${guid}`,
      )
  t.match(held('uploads'), [/^second\/[0-9a-f]{64}\.upload$/])
  for (const name of ['assets', 'uploads', 'scratch'])
    t.same(await readdir(join(data, name)), [])
  const page = await fetch(`${url}/v1/tracks/first/assets/waveform`)
  t.equal(page.status, 200, 'they are served from there')
  t.equal(await chain.close(), 0)
})

t.test('variables that npm start would override are refused, all in one message', async (t) => {
  const data = await folder(t)
  const env = {
    ...{
      TRACKCHAIN_ROUTES: '{}',
      TRACKCHAIN_HOST: '0.0.0.0',
      TRACKCHAIN_SCRATCH: 'gs://other',
    },
    ...{ TRACKCHAIN_PORT: '0', TRACKCHAIN_LOG_LEVEL: 'info' },
  }
  const start = (flags: readonly string[], more = {}) =>
    runCli(['start', '--data', data, ...flags], { ...process.env, ...more })
  const { code, stderr } = await start(['--scratch', 'gs://mine'], env)
  t.equal(code, 2)
  const words = stderr.replace(/^Starting …\n/, '')
  t.match(words, /TRACKCHAIN_ROUTES/)
  t.match(words, /TRACKCHAIN_HOST/)
  t.match(words, 'TRACKCHAIN_SCRATCH (--scratch of npm start)')
  t.notMatch(words, /LOG_LEVEL|PORT/)
  for (const [flag, value] of [
    ['--assets', 'gs://UPPER'],
    ['--gcs-endpoint', 'localhost'],
  ] as const) {
    const refused = { name: 'UsageError', message: flag }
    await t.rejects(startItself(['--data', data, flag, value]), refused)
  }
})

t.test('no setting of the chain is overridden silently', async (t) => {
  const taken = await takeDataFolder(await folder(t))
  t.teardown(() => taken.release())
  const at = { database: 'd', pubsub: 'p', pubsub_token: 't', port: 1 }
  const decided = chainSettings({ settings: { target_ms: 5 }, derivatives: '/x' }, taken, at)
  refuseOverridden(decided, configEnv(decided))
  for (const name of Object.keys(decided)) {
    const variable = `TRACKCHAIN_${name.toUpperCase()}`
    t.throws(() => refuseOverridden(decided, { [variable]: 'other' }), { message: variable })
  }
})
