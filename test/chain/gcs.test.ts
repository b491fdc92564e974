import { createHash } from 'node:crypto'
import t from 'tap'
import type { Fault } from '../../tools/fakes/gcs-server.ts'
import { wav } from '../support/audio.ts'
import { until } from '../support/chain.ts'
import { chainOnBuckets } from '../support/on-buckets.ts'
import { noise } from '../support/synth.ts'

const { server, around } = await chainOnBuckets(t, 'gcs')
const { letters, published } = around

/**
 * Puts `count` masters into their bucket and requests their assets. Returns the expected result of `echo` for
 * each.
 */
async function submit(name: string, count: number): Promise<Map<string, string>> {
  const digests = new Map<string, string>()
  for (let n = 0; n < count; n++) {
    const track = `${name}-${n}`
    const master = wav([noise(66_150, { seed: n }), noise(66_150, { seed: n + 100 })])
    server.put('masters', `${track}.wav`, master)
    digests.set(track, createHash('sha256').update(master.subarray(44)).digest('hex'))
    await around.submit({ asset_guid: track, derivative_assets: ['echo', 'pieces'] })
  }
  return digests
}

/** Waits until all are announced, and compares the announcements with the masters. */
async function finished(digests: ReadonlyMap<string, string>): Promise<unknown[]> {
  await until(() => [...digests.keys()].every((track) => published.has(track)), 120_000)
  return [...digests].flatMap(([track, sha256]) => {
    const [message, ...more] = published.get(track) ?? []
    const echo = message?.assets.find(({ asset }) => asset === 'echo')
    const isRight =
      message?.state === 'done' &&
      more.length === 0 &&
      echo?.state === 'made' &&
      (echo.result as { sha256: string }).sha256 === sha256
    return isRight ? [] : [{ track, message }]
  })
}

const FAULTS: Record<string, readonly Fault[]> = {
  'refused with 503': [{ status: 503, times: 12 }],
  'asked to wait with 429': [{ status: 429, retryAfter: 1, times: 6 }],
  'reset before the answer': [{ resetAfter: 0, times: 8 }],
  'cut within a download': [
    { on: /^GET .*alt=media/, resetAfter: 40_000, times: 4 },
    { on: /^GET .*alt=media/, resetAfter: 1, times: 4 },
  ],
  'cut within an upload': [{ on: /^POST/, cutUploadAfter: 100, times: 8 }],
  'done, but the answer is lost': [{ on: /^POST/, loseAnswer: true, times: 8 }],
}

for (const [what, faults] of Object.entries(FAULTS)) {
  t.test(
    `what is ${what} is done all the same, once, and nothing is dead-lettered`,
    async (t) => {
      server.faults.push(...faults.map((fault) => ({ ...fault })))
      const digests = await submit(what.replaceAll(/[^a-z0-9]+/g, '-'), 4)
      t.same(await finished(digests), [])
      t.same(server.faults, [], 'each was met')
      t.same(letters, [])
    },
  )
}

t.test('a storm that outlasts the patience of a call is outlasted by the chain', async (t) => {
  // More faults than the six attempts of a call.
  server.faults.push({ status: 503, times: 60 })
  const digests = await submit('storm', 4)
  t.same(await finished(digests), [])
  t.same(letters, [])
})
