import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { configEnv } from '#shared/frame/config.ts'
import { startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { chainSettings, refuseOverridden } from '../../../tools/local/chain-settings.ts'
import { takeDataFolder } from '../../../tools/local/data-folder.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { noise, wav } from '../../support/audio.ts'
import { patient, until } from '../../support/patience.ts'

t.setTimeout(patient(240_000))

const CLI = join(import.meta.dirname, '..', '..', '..', 'tools', 'cli', 'cli.ts')

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

function start(data: string, flags: readonly string[], env: Record<string, string>) {
  const args = [CLI, 'start', '--data', data, '--port', '0', '--pubsub-port', '0', ...flags]
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env } })
  const said: string[] = []
  for (const output of [child.stdout, child.stderr])
    output.setEncoding('utf8').on('data', (text) => said.push(text))
  return { child, said: () => said.join('') }
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
  const { child, said } = start(data, flags, {
    TRACKCHAIN_UPLOADS: 'gs://uploads',
    TRACKCHAIN_DATABASE: await postgres.database(),
  })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  const url = () => /API +(http:\S+)/.exec(said())?.[1]
  await until(() => url() !== undefined || child.exitCode !== null, patient(60_000))
  if (url() === undefined) throw new Error(`it did not start: ${said()}`)
  t.match(said(), 'assets   gs://assets/made')

  const form = new FormData()
  form.set('file', new Blob([wav([noise(90_000, { seed: 3 }), noise(90_000)])]), 'second.wav')
  form.set('asset_guid', 'second')
  const sent = await Promise.all([
    fetch(`${url()}/v1/jobs`, { method: 'POST', body: form }),
    fetch(`${url()}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ asset_guid: 'first' }),
    }),
  ])
  for (const response of sent) {
    t.equal(response.status, 202)
    const { request_id } = (await response.json()) as { request_id: string }
    let state: string | undefined
    for (const late = Date.now() + patient(60_000); Date.now() < late; await sleep(100)) {
      const answer = await fetch(`${url()}/v1/jobs/${request_id}`)
      state = ((await answer.json()) as { state?: string }).state
      if (['done', 'partial', 'failed'].includes(String(state))) break
    }
    t.equal(state, 'done')
  }
  for (const guid of ['first', 'second'])
    for (const asset of ['aac-128', 'waveform', 'bpm'])
      t.ok(
        held('assets').some(
          (name) => name.startsWith(`made/assets/${guid}/`) && name.includes(`/${asset}@`),
        ),
        `${asset} of ${guid}`,
      )
  t.match(held('uploads'), [/^second\/[0-9a-f]{64}\.upload$/])
  for (const name of ['assets', 'uploads', 'scratch'])
    t.same(await readdir(join(data, name)), [])
  const page = await fetch(`${url()}/v1/tracks/first/assets/waveform`)
  t.equal(page.status, 200, 'they are served from there')
  child.kill('SIGTERM')
  t.equal((await once(child, 'exit'))[0], 0)
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
  const { child, said } = start(data, ['--scratch', 'gs://mine'], env)
  t.equal((await once(child, 'close'))[0], 2)
  const words = said().replace(/^Starting …\n/, '')
  t.match(words, /TRACKCHAIN_ROUTES/)
  t.match(words, /TRACKCHAIN_HOST/)
  t.match(words, 'TRACKCHAIN_SCRATCH (--scratch of npm start)')
  t.notMatch(words, /LOG_LEVEL|PORT/)
  for (const [flag, value] of [
    ['--assets', 'gs://UPPER'],
    ['--gcs-endpoint', 'localhost'],
  ] as const) {
    const wrong = start(data, [flag, value], {})
    t.equal((await once(wrong.child, 'close'))[0], 2)
    t.match(wrong.said(), flag)
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
