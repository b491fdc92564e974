import t from 'tap'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { listedTrack, listTracks } from '#shared/catalogue/tracks/list-tracks.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import type { TrackFilter } from '#shared/catalogue/tracks/track-filter.ts'
import type { Published } from '#shared/contracts/messages/published.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { coded, flac, wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { claiming, music } from '../support/masters/contradicting.ts'
import { pagesOf } from '../support/masters/ogg.ts'
import { allConsumers } from '../support/one-process.ts'
import { club, looped, silence } from '../support/synth.ts'

const SECOND = 44_100
// The cores are declared slow, so that masters longer than a minute take several steps.
const around = await surroundings({
  ...{ master_wait_seconds: 0, target_ms: 500 },
  routes: { cloud: { templates: [], prefixes: [], core_slowdown: 4 } },
})
const { bus, database, config, folder, letters, published } = around
const log = createLog('warnings', 'fatal')
const prefixes = [`file://${folder}/masters/`]
const routes = { cloud: { templates: [], prefixes, core_slowdown: 4 } }
const consumers = await allConsumers({ config: { ...config, routes }, bus, database, log })
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

/** Submits a job for an existing master and returns its announcement. */
async function announced(
  track: string,
  master: string,
  more: { strict?: boolean } = {},
): Promise<Published> {
  const before = published.get(track)?.length ?? 0
  const master_uri = `file://${folder}/masters/${master}.wav`
  await around.submit({ asset_guid: track, derivative_assets: ['echo'], master_uri, ...more })
  await until(() => (published.get(track)?.length ?? 0) > before, 120_000)
  return published.get(track)?.at(-1) as Published
}

const CUT = {
  ...{ code: 'CUT_SHORT', promised_seconds: 4, present_seconds: 1 },
  sentence: 'the WAV is cut short: its header promises 4 s, and 1 s are there',
}
const whole = wav([silence(4 * SECOND), silence(4 * SECOND)])
await around.master('cut', whole.subarray(0, 44 + 4 * SECOND))
await around.master('odd', claiming(music(16), { block: 4 }))
await around.master('sound', whole)
const long = club(15 * SECOND).map((channel) => looped(channel, 80 * SECOND))
const mp3 = await coded('a.mp3', wav(long), ['-b:a', '64k'])
await around.master('late', mp3.subarray(0, Math.floor(mp3.length * 0.85)))

t.test('a warning is announced, kept, listed, and stands in the history', async (t) => {
  const message = await announced('cut', 'cut')
  t.match(message, { state: 'done', warnings: [CUT] })
  t.same((await findTrack(database, 'cut'))?.master.warnings, [CUT])
  const [job] = await jobsOfRequest(database, message.request_id)
  t.same(job?.warnings, [CUT])
  await until(async () => (await stagedEvent('cut'))?.warnings !== undefined)
  t.same((await stagedEvent('cut'))?.warnings, [CUT])
  t.match(await listedTrack(database, 'cut'), { line: { warnings: ['CUT_SHORT'] } })
})

t.test('lists are filtered by it', async (t) => {
  await announced('odd', 'odd')
  t.notMatch(await announced('sound', 'sound'), { warnings: [{}] })
  const listed = async (filter: TrackFilter) =>
    (await listTracks(database, filter, { limit: 10 })).tracks
      .map(({ line }) => line.asset_guid)
      .sort()
  t.same(await listed({ isWarned: true }), ['cut', 'odd'])
  t.same(await listed({ isWarned: false }), ['sound'])
  t.same(await listed({ warning: 'HEADER_CONTRADICTS' }), ['odd'])
})

t.test('strict refuses it, with the same sentence', async (t) => {
  const message = await announced('cut-strict', 'cut', { strict: true })
  t.match(message, {
    state: 'failed',
    assets: [{ state: 'failed', code: 'STRICT', sentence: CUT.sentence }],
  })
  await until(() => letters.length > 0)
  t.match(letters, [{ attributes: { dead_letter_code: 'STRICT' } }])
  t.match(await announced('sound-strict', 'sound', { strict: true }), { state: 'done' })
})

t.test('a warning that only the last step of several finds is reported likewise', async (t) => {
  const message = await announced('late', 'late')
  t.match(message, { state: 'done', warnings: [{ code: 'CUT_SHORT', promised_seconds: 80 }] })
  const steps = (await trackHistory(database, 'late', { limit: 100 })).events.filter(
    ({ step }) => step === 'stage',
  )
  t.ok(steps.length > 1, `${steps.length} steps of stage`)
  const again = await announced('late', 'late')
  t.same(again.warnings, message.warnings, 'also when all is there already')
  t.not(again.request_id, message.request_id)
  t.match(await announced('late', 'late', { strict: true }), {
    state: 'failed',
    assets: [{ code: 'STRICT', sentence: message.warnings?.[0]?.sentence }],
  })
})

t.test(
  'damage that only a decoder meets is reported for a track that takes several steps',
  async (t) => {
    const at = Math.floor(mp3.length * 0.8)
    const hit = Buffer.from(mp3)
    hit.fill(0x5a, at, at + 2000)
    await around.master('hit', hit)
    const said = {
      code: 'DAMAGED',
      sentence: /the MP3 is damaged: \d+ bytes at byte \d+ \(second 6\d/,
    }
    t.match(await announced('hit', 'hit'), { state: 'done', warnings: [said] })
    t.match(await announced('hit-strict', 'hit', { strict: true }), {
      state: 'failed',
      assets: [{ code: 'STRICT', sentence: said.sentence }],
    })
  },
)

t.test('samples that are no numbers are counted over all steps', async (t) => {
  const rate = 8000
  const sound = silence(30 * rate)
  sound.fill(Number.NaN, 8 * rate, 16 * rate)
  sound[25 * rate] = Number.POSITIVE_INFINITY
  await around.master('none', wav([sound], { rate, bits: 32, float: true }))
  const said = {
    code: 'DAMAGED',
    sentence:
      'the WAV is damaged: 64001 of its 240000 samples are no numbers or infinite, the first at 8.000 s; silence was put in their place',
  }
  t.same((await announced('none', 'none')).warnings, [said])
  const steps = (await trackHistory(database, 'none', { limit: 100 })).events.filter(
    ({ step }) => step === 'stage',
  )
  t.ok(steps.length > 1, `${steps.length} steps of stage`)
  t.match(await announced('none', 'none', { strict: true }), {
    state: 'failed',
    assets: [{ code: 'STRICT', sentence: said.sentence }],
  })
})

async function stagedEvent(track: string) {
  const { events } = await trackHistory(database, track, { limit: 100 })
  return events.find(({ step }) => step === 'stage')
}

t.test('a FLAC whose MD5 is that of other samples is done, and said', async (t) => {
  const file = await flac(wav(club(3 * SECOND)))
  const other = Buffer.from(file)
  other.fill(0x5a, 26, 42)
  const deep = await flac(wav(club(3 * SECOND), { bits: 24 }), { bits: 24 })
  await around.master('md5', other)
  await around.master('md5-right', file)
  await around.master('md5-deep', deep)
  const said = { code: 'MD5_MISMATCH', sentence: /not those whose MD5 its encoder wrote/ }
  t.match(await announced('md5', 'md5'), { state: 'done', warnings: [said] })
  for (const right of ['md5-right', 'md5-deep']) {
    const message = await announced(right, right)
    t.equal(message.state, 'done')
    t.equal(message.warnings, undefined, `${right}: nothing is wrong`)
  }
  const strict = await announced('md5-strict', 'md5', { strict: true })
  t.match(strict, { state: 'failed', assets: [{ code: 'STRICT', sentence: said.sentence }] })
})

t.test(
  'an Ogg of which something is missing is done, and said; strict refuses it',
  async (t) => {
    const mono = wav([silence(80 * SECOND)])
    const pages = pagesOf(await coded('a.ogg', mono, ['-c:a', 'libvorbis']))
    const opus = await coded('a.opus', wav([silence(SECOND)]), ['-c:a', 'libopus'])
    await around.master('ogg', Buffer.concat(pages))
    await around.master('ogg-hole', Buffer.concat(pages.toSpliced(pages.length >> 1, 1)))
    await around.master('ogg-unlike', Buffer.concat([...pages, opus]))
    t.notMatch(await announced('ogg', 'ogg'), { warnings: [{}] })
    const message = await announced('ogg-hole', 'ogg-hole')
    const [said] = message.warnings ?? []
    t.match(message, { state: 'done', warnings: [{ code: 'DAMAGED' }] })
    t.equal(message.warnings?.length, 1)
    t.match(await announced('ogg-strict', 'ogg-hole', { strict: true }), {
      state: 'failed',
      assets: [{ code: 'STRICT', sentence: said?.sentence }],
    })
    t.match(await announced('ogg-unlike', 'ogg-unlike'), {
      state: 'failed',
      assets: [{ code: 'MASTER_UNREADABLE', sentence: /changes from Vorbis .* to Opus/ }],
    })
  },
)
