import { fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { wav } from '../../support/audio.ts'
import { type Surroundings, surroundings, until } from '../../support/chain.ts'
import { Link, throttled } from '../../support/fakes/throttled.ts'
import { allConsumers } from '../../support/one-process.ts'
import { patient } from '../../support/patience.ts'
import { club } from '../../support/synth.ts'

t.setTimeout(patient(300_000))
/** Hard limit of each step, ms. It is so short that slow operations exceed it many times. */
const LIMIT_MS = 1000
const SECONDS = 12
const music = wav(club(SECONDS * 44_100))
const assets = ['echo', 'measure', 'pieces', 'waveform']

/** Waits until the history has an event with this code. */
async function reported(code: string, { config, postgres }: Surroundings): Promise<void> {
  const database = postgres.open(config.database)
  await until(async () => {
    const rows = await database.query({ text: 'select 1 from event where code = $1' }, [code])
    return rows.length > 0
  })
}

t.test('on a slow store everything is done, late, and no asset is blamed', async (t) => {
  const around = await surroundings()
  const { bus, database, config, letters, published } = around
  // In proportion to 700 kB/s for ten minutes of audio and a limit of thirteen seconds.
  const link = new Link(250_000)
  const consumers = await allConsumers({
    ...{ config, bus, database, log: createLog('slow', 'fatal'), hardLimitMs: LIMIT_MS },
    wrap: (store) => throttled(store, link),
    wrapMasters: (store) => throttled(store, link),
  })
  t.teardown(async () => {
    await consumers.close()
    await around.close()
  })
  await around.master('slow', music)
  await around.submit({ asset_guid: 'slow', derivative_assets: assets })
  await until(() => published.has('slow'), 120_000)
  t.match(published.get('slow'), [{ state: 'done' }])
  t.same(letters, [])
  await reported('SLOW_UPSTREAM', around)
})

t.test('a machine that is hardly ever ours makes everything, late', async (t) => {
  const around = await surroundings()
  const { env, letters, published } = around
  const child = fork(new URL('../../support/processes/watched-child.ts', import.meta.url), {
    env: { ...process.env, ...env, STANDSTILL_MS: '3000', HARD_LIMIT_MS: `${LIMIT_MS}` },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
    detached: true,
  })
  let isOver = false
  t.teardown(async () => {
    isOver = true
    child.kill('SIGKILL')
    await around.close()
  })
  await until(() => new Promise((resolve) => child.once('message', () => resolve(true))))
  await around.master('starved', music)
  await around.submit({ asset_guid: 'starved', derivative_assets: [...assets, 'aac-128'] })
  // The process group, which includes its ffmpeg processes.
  const group = -(child.pid as number)
  const starving = (async () => {
    while (!isOver && !published.has('starved')) {
      process.kill(group, 'SIGSTOP')
      await sleep(450)
      process.kill(group, 'SIGCONT')
      await sleep(50)
    }
  })()
  await until(() => published.has('starved'), 240_000)
  await starving
  t.match(published.get('starved'), [{ state: 'done' }])
  t.same(letters, [])
  t.equal(child.exitCode, null, 'nor has it been taken to stand still')
  await reported('STARVED', around)
})
