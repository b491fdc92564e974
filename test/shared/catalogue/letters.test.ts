import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import { jobId } from '#shared/contracts/names.ts'
import type { DeadLetter } from '#shared/frame/dead-letter.ts'
import { accepted, again, catalogues, ended, failed } from './fixture.ts'

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
  const { catalogue } = await fresh(t)
  const hostile = `'; drop table dead_letter; -- \0 \uD800 \u202E \x1b[31m 日本語`
  const one = letter({
    body: Buffer.concat([Buffer.from(hostile), Buffer.from([0xff, 0x00, 0xfe])]),
    attributes: { [hostile]: hostile, __proto__x: '' },
    ...{ reason: hostile, code: hostile, step: hostile },
    job: { ...about('t', ['bpm']), accepted: '2026-01-01T00:00:00.000Z' },
  })
  await catalogue.keepLetter(one)
  await catalogue.keepLetter({ ...one, message: '2', reason: 'another' })
  const found = await catalogue.letter(one.id)
  const fit = hostile.toWellFormed().replaceAll('\0', '\uFFFD')
  t.same(found?.body, one.body)
  t.strictSame(found?.attributes, one.attributes)
  t.match(found, {
    ...{ reason: fit, message: '1', state: 'open', settled: null, published: one.published },
    job: { ...one.job, accepted: new Date('2026-01-01') },
  })
  t.equal((await catalogue.letters('all', {}, { limit: 10 })).letters.length, 1)
  t.equal(await catalogue.letter('\0'), undefined)
  t.same((await catalogue.letters('all', { code: '\0' }, { limit: 1 })).letters, [])
})

t.test('they are found by step, code, asset, track, age and state, page by page', async (t) => {
  const { catalogue } = await fresh(t)
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute))
  const kept = [
    letter({ published: at(1), step: 'encode', job: about('one', ['aac-128', 'flac']) }),
    letter({ published: at(2), code: 'CRASHED', job: about('two', ['bpm']) }),
    letter({ published: at(3), job: about('three') }),
    letter({ published: at(3), code: 'NOT_JSON' }),
  ]
  for (const each of kept) await catalogue.keepLetter(each)
  const found = async (filter: object, state: 'open' | 'redriven' | 'all' = 'open') =>
    (await catalogue.letters(state, filter, { limit: 10 })).letters.map(({ id }) =>
      kept.findIndex((each) => each.id === id),
    )
  t.same((await found({})).sort(), [0, 1, 2, 3])
  t.same(await found({ step: 'encode' }), [0])
  t.same(await found({ code: 'CRASHED' }), [1])
  t.same(await found({ asset: 'flac' }), [2, 0], 'a job that names no assets wants all')
  t.same(await found({ track: 'two' }), [1])
  t.same(await found({ before: at(3).toISOString() }), [1, 0])
  t.same(await found({ code: 'CRASHED', step: 'encode' }), [])
  t.same(await catalogue.countLetters({}), { redrivable: 3, others: 1 })
  t.same(await catalogue.countLetters({ step: 'encode' }), { redrivable: 1, others: 0 })

  const ids: string[] = []
  let after: { at: string; id: string } | undefined
  for (;;) {
    const page = await catalogue.letters('all', {}, { limit: 1, after })
    ids.push(...page.letters.map(({ id }) => id))
    after = page.next
    if (after === undefined) break
  }
  t.equal(ids.length, 4)
  t.equal(new Set(ids).size, 4, 'also those of the same moment')

  const [first] = kept as [DeadLetter]
  t.equal((await catalogue.claimLetter({}))?.id, first.id, 'the oldest first')
  await catalogue.settleLetter(first.id, { by: 'me', run: 2, reason: null })
  t.same(await found({}, 'redriven'), [0])
  t.match((await catalogue.letter(first.id))?.settled, { by: 'me', run: 2, at: Date })
  t.same(await found({ before: at(2).toISOString() }), [])
})

t.test('each letter goes to one of many claimants; a claim can be released', async (t) => {
  const { catalogue, database } = await fresh(t)
  for (let n = 0; n < 5; n++) await catalogue.keepLetter(letter({ job: about(`t${n}`) }))
  await catalogue.keepLetter(letter())
  const claims = await Promise.all(Array.from({ length: 20 }, () => catalogue.claimLetter({})))
  const got = claims.flatMap((claim) => claim?.id ?? [])
  t.equal(new Set(got).size, got.length, 'nobody got what somebody else has')
  t.ok(got.length >= 1 && got.length <= 5, 'and those without a job are not for redriving')
  const [id = ''] = got
  t.equal(await catalogue.claimLetter(id), undefined)
  await catalogue.releaseLetter(id)
  t.equal((await catalogue.claimLetter(id))?.id, id)
  await database.query({
    text: "update dead_letter set claimed_until = now() - interval '1 s'",
  })
  t.equal(
    (await catalogue.claimLetter(id))?.id,
    id,
    'a process that claimed it and died blocks no other',
  )
  await catalogue.settleLetter(id, { by: 'me', run: null, reason: 'no' })
  await catalogue.settleLetter(id, { by: 'late', run: 2, reason: null })
  await catalogue.releaseLetter(id)
  t.match(await catalogue.letter(id), {
    state: 'discarded',
    settled: { by: 'me', run: null, reason: 'no' },
  })
  t.equal(await catalogue.claimLetter(id), undefined)
  t.equal(await catalogue.claimLetter('0'.repeat(32)), undefined)
})

t.test(
  'what failed for two reasons and is redriven bit by bit is announced for each bit',
  async (t) => {
    const { catalogue } = await fresh(t)
    const run = accepted(['bpm', 'key', 'flac'])
    const ids = new Set<string>()
    const announced = async (of: typeof run, verdicts: Parameters<typeof ended>[1] = {}) => {
      await catalogue.acceptJobs([of])
      const due = await catalogue.recordRuns([ended(of, verdicts)])
      await catalogue.markAnnounced(due)
      for (const { id } of due) ids.add(id)
      return due.length
    }
    await announced(run, { bpm: failed('one'), key: failed('two') })
    t.equal(await announced(again(run, { run: 2 }, ['bpm'])), 1)
    t.equal(await announced(again(run, { run: 2 }, ['key'])), 1, 'the same run, other assets')
    t.equal(ids.size, 3, 'each message has an id of its own')
    t.equal(await announced(again(run, { run: 2 }, ['bpm'])), 0, 'a copy is no news')
    t.match(await catalogue.job(run.job), { state: 'done', run: 2 })
  },
)
