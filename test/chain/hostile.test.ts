import { randomUUID } from 'node:crypto'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { createLog } from '#shared/log.ts'
import type { Published } from '#shared/messages/published.ts'
import { surroundings, until } from '../support/chain.ts'
import { hostileMasters } from '../support/hostile-masters.ts'
import type { Master, Verdict } from '../support/hostile-verdict.ts'
import { allConsumers } from '../support/one-process.ts'

t.setTimeout(500_000)

const around = await surroundings({ master_wait: 0 })
const { bus, catalogue, config, folder, published } = around
const log = createLog('hostile', 'fatal')
const consumers = await allConsumers({ config, bus, catalogue, log })
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

const pathOf = (track: string) => join(folder, 'masters', `${track}.wav`)

/** Puts the masters where they are looked for. Answers names and verdicts alone: together they take 200 MB. */
async function placed(): Promise<(readonly [name: string, verdict: Verdict])[]> {
  const rows = await hostileMasters()
  for (const [index, [, master]] of rows.entries())
    await place(pathOf(`first-${index}`), master)
  return rows.map(([name, , verdict]) => [name, verdict])
}

async function place(path: string, master: Master): Promise<void> {
  if (typeof master === 'function') await master(path)
  else await writeFile(path, master)
}

/** Sends all of them through the chain, and waits until each is announced. */
async function through(pass: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const job = { request_id: randomUUID(), asset_guid: `${pass}-${index}` }
    const submit = () => around.submit({ ...job, derivative_assets: ['measure'] })
    // On a crowded machine the client may give up.
    await submit().catch(submit)
  }
  const done = () => [...published.keys()].filter((track) => track.startsWith(`${pass}-`))
  await until(() => done().length === count, 200_000).catch(() => {})
}

/** What is in use once everything has come to rest, bytes. */
async function settledRss(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const gc: () => void = runInNewContext('gc')
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 10; look++) {
    gc()
    await sleep(100)
    least = Math.min(least, process.memoryUsage().rss)
  }
  return least
}

t.test('odd and hostile masters get the verdicts of the table', async (t) => {
  const rows = await placed()
  t.ok(rows.length >= 60, `${rows.length} masters`)
  await through('first', rows.length)
  for (const [index, [name, verdict]] of rows.entries()) {
    t.test(name, async (t) => check(t, published.get(`first-${index}`)?.[0], verdict))
  }

  await t.test('and again, which costs no memory', async (t) => {
    for (const index of rows.keys())
      await symlink(pathOf(`first-${index}`), pathOf(`again-${index}`))
    const before = await settledRss()
    await through('again', rows.length)
    const after = await settledRss()
    t.ok(after < 1.15 * before, `${before >> 20} MiB before, ${after >> 20} MiB after`)
    const states = (pass: string) =>
      [...rows.keys()].map((index) => published.get(`${pass}-${index}`)?.[0]?.state)
    t.same(states('again'), states('first'))
  })
})

function check(t: Test, message: Published | undefined, verdict: Verdict): void {
  const [asset] = message?.assets ?? []
  if (asset === undefined) {
    t.fail('it was never announced')
  } else if (asset.state === 'failed' || 'code' in verdict) {
    const { code, says } = 'code' in verdict ? verdict : { code: 'none', says: /none/ }
    t.match(asset, { state: 'failed', code, sentence: says })
  } else {
    const { samples, peak } = asset.result as { samples: number; peak: number }
    const { samples: span, peak: loudest = peak } = verdict
    const [least, most] = typeof span === 'number' ? [span, span] : span
    t.ok(samples >= least && samples <= most, `${samples} samples; expected ${span}`)
    t.equal(peak, loudest)
  }
}
