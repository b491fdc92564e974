import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import type { Published } from '#shared/contracts/messages/published.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { surroundings, until } from '../support/chain.ts'
import { hostileMasters } from '../support/masters/hostile-masters.ts'
import type { Verdict } from '../support/masters/hostile-verdict.ts'
import { allConsumers } from '../support/one-process.ts'

const around = await surroundings({ master_wait_seconds: 0 })
const { bus, database, config, folder, letters, published } = around
const log = createLog('hostile', 'fatal')
const consumers = await allConsumers({ config, bus, database, log })
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

/**
 * A part of the table that test/services/stage/hostile.test.ts tests completely: some masters of each kind, and
 * those that only the chain can judge.
 */
const isPlace = (name: string) => /^a (pipe|folder)/.test(name)
const CODES = ['TOO_LONG_TO_STAGE', 'OVER_LIMITS', 'MASTER_OUT_OF_BOUNDS']

t.test('hostile masters go through the chain, or end it with their verdicts', async (t) => {
  const table = await hostileMasters()
  const rows = table.filter(
    ([name, , verdict], index) =>
      index % 12 === 0 || ('code' in verdict && CODES.includes(verdict.code)) || isPlace(name),
  )
  for (const [index, [, master]] of rows.entries()) {
    const path = join(folder, 'masters', `h-${index}.wav`)
    await (typeof master === 'function' ? master(path) : writeFile(path, master))
    await around.submit({ asset_guid: `h-${index}`, derivative_assets: ['measure'] })
  }
  await until(() => published.size === rows.length, 200_000).catch(() => {})
  for (const [index, [name, , verdict]] of rows.entries()) {
    t.test(name, async (t) => check(t, published.get(`h-${index}`)?.[0], verdict))
  }
  const failed = [...published.values()].filter(([message]) => message?.state === 'failed')
  t.equal(letters.length, failed.length, 'a dead letter for each that failed')
  // The answers must not reveal where masters lie and where links lead to.
  const place = new RegExp(`${folder}|/etc/|/dev/`)
  for (const { attributes } of letters) t.notMatch(attributes.dead_letter_reason, place)
  for (const [track, [message]] of published) {
    for (const { sentence } of (message?.assets ?? []) as { sentence?: string }[])
      t.notMatch(sentence ?? '', place)
    const { events } = await trackHistory(database, track, { limit: 100 })
    for (const { sentence = '' } of events) t.notMatch(sentence, place)
  }
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
