import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { markAnnounced } from '#shared/catalogue/jobs/record-runs.ts'
import {
  claimLetter,
  releaseLetter,
  settleLetter,
} from '#shared/catalogue/letters/claim-letters.ts'
import { keepLetter } from '#shared/catalogue/letters/keep-letter.ts'
import {
  countLetters,
  findLetter,
  listLetters,
} from '#shared/catalogue/letters/read-letters.ts'
import { jobId } from '#shared/contracts/names.ts'
import type { DeadLetter } from '#shared/frame/dead-letter.ts'
import { accepted, again, catalogues, ended, failed, jobOf, recordDue } from './fixture.ts'

const fresh = await catalogues(t)

function letter(over: Partial<DeadLetter> = {}): DeadLetter {
  return {
    ...{ id: randomBytes(16).toString('hex'), message: '1', published: new Date(1e12) },
    ...{ step: 'stage', code: 'MASTER_NOT_FOUND', reason: 'not there', attempt: 2 },
    ...{ body: Buffer.from('{}'), attributes: { a: 'b' } },
    ...over,
  }
}

function about(track: string, assets?: string[], run = 1): NonNullable<DeadLetter['job']> {
  const request_id = randomUUID()
  const request = { request_id, asset_guid: track }
  return {
    ...{ id: jobId(request_id, track), run },
    request: assets === undefined ? request : { ...request, derivative_assets: assets },
  }
}

t.test('a letter is kept once, to the byte, however often it comes', async (t) => {
  const { database } = await fresh()
  const hostile = `'; drop table dead_letter; -- \0 \uD800 \u202E \x1b[31m 日本語`
  const one = letter({
    body: Buffer.concat([Buffer.from(hostile), Buffer.from([0xff, 0x00, 0xfe])]),
    attributes: { [hostile]: hostile, __proto__x: '' },
    ...{ reason: hostile, code: hostile, step: hostile },
    job: { ...about('t', ['bpm']), accepted: '2026-01-01T00:00:00.000Z' },
  })
  await keepLetter(database, one)
  await keepLetter(database, { ...one, message: '2', reason: 'another' })
  const found = await findLetter(database, one.id)
  const fit = hostile.toWellFormed().replaceAll('\0', '\uFFFD')
  t.same(found?.body, one.body)
  t.strictSame(found?.attributes, one.attributes)
  t.match(found, {
    ...{ reason: fit, message: '1', state: 'open', settled: null, published: one.published },
    job: { ...one.job, accepted: new Date('2026-01-01') },
  })
  t.equal((await listLetters(database, 'all', {}, { limit: 10 })).letters.length, 1)
  t.equal(await findLetter(database, '\0'), undefined)
  t.same((await listLetters(database, 'all', { code: '\0' }, { limit: 1 })).letters, [])
})

t.test('they are found by step, code, asset, track, age and state, page by page', async (t) => {
  const { database } = await fresh()
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute))
  const kept = [
    letter({ published: at(1), step: 'encode', job: about('one', ['aac-128', 'flac']) }),
    letter({ published: at(2), code: 'CRASHED', job: about('two', ['bpm']) }),
    letter({ published: at(3), job: about('three') }),
    letter({ published: at(3), code: 'NOT_JSON' }),
  ]
  for (const each of kept) await keepLetter(database, each)
  const found = async (filter: object, state: 'open' | 'redriven' | 'all' = 'open') =>
    (await listLetters(database, state, filter, { limit: 10 })).letters.map(({ id }) =>
      kept.findIndex((each) => each.id === id),
    )
  t.same((await found({})).sort(), [0, 1, 2, 3])
  t.same(await found({ step: 'encode' }), [0])
  t.same(await found({ code: 'CRASHED' }), [1])
  t.same(await found({ asset: 'flac' }), [2, 0], 'a job that names no assets wants all')
  t.same(await found({ track: 'two' }), [1])
  t.same(await found({ before: at(3).toISOString() }), [1, 0])
  t.same(await found({ code: 'CRASHED', step: 'encode' }), [])
  t.same(await countLetters(database, {}), { redrivable: 3, others: 1 })
  t.same(await countLetters(database, { step: 'encode' }), { redrivable: 1, others: 0 })

  const ids: string[] = []
  let after: { at: string; id: string } | undefined
  for (;;) {
    const page = await listLetters(database, 'all', {}, { limit: 1, after })
    ids.push(...page.letters.map(({ id }) => id))
    after = page.next
    if (after === undefined) break
  }
  t.equal(ids.length, 4)
  t.equal(new Set(ids).size, 4, 'also those of the same moment')

  const [first] = kept as [DeadLetter]
  t.equal((await claimLetter(database, {}))?.id, first.id, 'the oldest first')
  await settleLetter(database, first.id, { by: 'me', run: 2, reason: null })
  t.same(await found({}, 'redriven'), [0])
  t.match((await findLetter(database, first.id))?.settled, { by: 'me', run: 2, at: Date })
  t.same(await found({ before: at(2).toISOString() }), [])
})

t.test('each letter goes to one of many claimants; a claim can be released', async (t) => {
  const { database } = await fresh()
  for (let n = 0; n < 5; n++) await keepLetter(database, letter({ job: about(`t${n}`) }))
  await keepLetter(database, letter())
  const claims = await Promise.all(Array.from({ length: 20 }, () => claimLetter(database, {})))
  const got = claims.flatMap((claim) => claim?.id ?? [])
  t.equal(new Set(got).size, got.length, 'nobody got what somebody else has')
  t.ok(got.length >= 1 && got.length <= 5, 'and those without a job are not for redriving')
  const [id = ''] = got
  t.equal(await claimLetter(database, id), undefined)
  await releaseLetter(database, id)
  t.equal((await claimLetter(database, id))?.id, id)
  await database.query({
    text: "update dead_letter set claimed_until = now() - interval '1 s'",
  })
  t.equal(
    (await claimLetter(database, id))?.id,
    id,
    'a process that claimed it and died blocks no other',
  )
  await settleLetter(database, id, { by: 'me', run: null, reason: 'no' })
  await settleLetter(database, id, { by: 'late', run: 2, reason: null })
  await releaseLetter(database, id)
  t.match(await findLetter(database, id), {
    state: 'discarded',
    settled: { by: 'me', run: null, reason: 'no' },
  })
  t.equal(await claimLetter(database, id), undefined)
  t.equal(await claimLetter(database, '0'.repeat(32)), undefined)
})

t.test(
  'what failed for two reasons and is redriven bit by bit is announced for each bit',
  async (t) => {
    const { database } = await fresh()
    const run = accepted(['bpm', 'key', 'flac'])
    const ids = new Set<string>()
    const announced = async (of: typeof run, verdicts: Parameters<typeof ended>[1] = {}) => {
      await acceptJobs(database, [of])
      const due = await recordDue(database, [ended(of, verdicts)])
      await markAnnounced(database, due)
      for (const { id } of due) ids.add(id)
      return due.length
    }
    await announced(run, { bpm: failed('one'), key: failed('two') })
    t.equal(await announced(again(run, { run: 2 }, ['bpm'])), 1)
    t.equal(await announced(again(run, { run: 2 }, ['key'])), 1, 'the same run, other assets')
    t.equal(ids.size, 3, 'each message has an id of its own')
    t.equal(await announced(again(run, { run: 2 }, ['bpm'])), 0, 'a copy is no news')
    t.match(await jobOf(database, run.job), { state: 'done', run: 2 })
  },
)
