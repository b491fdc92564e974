import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createLog } from '#shared/log.ts'
import type { Published } from '#shared/messages/published.ts'
import { surroundings, until } from '../support/chain.ts'
import { hostileMasters } from '../support/hostile-masters.ts'
import type { Master, Verdict } from '../support/hostile-verdict.ts'
import { allConsumers } from '../support/one-process.ts'

t.setTimeout(300_000)

const around = await surroundings()
const { bus, catalogue, config, folder, published } = around
const log = createLog('hostile', 'fatal')
const consumers = await allConsumers({ config, bus, catalogue, log })
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

async function place(track: string, master: Master): Promise<void> {
  const path = join(folder, 'masters', `${track}.wav`)
  if (typeof master === 'function') await master(path)
  else await writeFile(path, master)
}

const rows = await hostileMasters()
for (const [index, [, master]] of rows.entries()) await place(`h-${index}`, master)
const verdicts = rows.map(([name, , verdict]) => [name, verdict] as const)
const began = performance.now()
for (const [index] of rows.entries()) {
  await around.submit({ asset_guid: `h-${index}`, derivative_assets: ['measure'] })
}
await until(() => published.size === rows.length, 240_000).catch(() => {})
console.error('took', performance.now() - began)
for (const [index, [name, verdict]] of verdicts.entries()) {
  t.test(name, async (t) => {
    const [message] = published.get(`h-${index}`) ?? []
    check(t, message, verdict)
  })
}

function check(t: Test, message: Published | undefined, verdict: Verdict): void {
  const [asset] = message?.assets ?? []
  if (asset === undefined) t.fail('no answer')
  else if ('code' in verdict) {
    t.match(asset, { state: 'failed', code: verdict.code, sentence: verdict.says })
  } else {
    t.match(asset, { state: 'made' }, (asset as { sentence?: string }).sentence ?? 'made')
    const [least, most] =
      typeof verdict.samples === 'number' ? [verdict.samples, verdict.samples] : verdict.samples
    const { samples, peak } = (asset as { result?: { samples: number; peak: number } }).result ?? {}
    t.ok((samples ?? 0) >= least && (samples ?? 0) <= most, `${samples} samples`)
    if (verdict.peak !== undefined) t.equal(peak, verdict.peak)
  }
}
