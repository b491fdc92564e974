import t from 'tap'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { jobId, requestIdFrom } from '#shared/contracts/names.ts'
import { letterAttributes, readLetter, setAsideAs } from '#shared/frame/dead-letter.ts'

const request_id = '0d5c1f4e-3b1a-4a2b-9c3d-4e5f60718293'
const job = { request_id, asset_guid: 'a-track', derivative_assets: ['bpm'] }

function delivery(body: unknown, attributes: Record<string, string> = {}, id = '77') {
  const data = Buffer.isBuffer(body)
    ? body
    : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return { id, data, attributes, attempt: 1, published: new Date('2026-03-01T10:00:00Z') }
}

const native = (subscription: string) => ({
  CloudPubSubDeadLetterSourceDeliveryCount: '50',
  CloudPubSubDeadLetterSourceSubscription: subscription,
})

t.test('a message that was set aside comes back with its reason and its job', async (t) => {
  const came = delivery(job, { run: '3', accepted: '2026-02-01T00:00:00.000Z', mine: 'kept' })
  const error = new PermanentError('UNKNOWN_SITE', 'no such site')
  const first = readLetter({ ...came, ...setAsideAs(came, 'ingest', error), id: '100' })
  const copy = readLetter({ ...came, ...setAsideAs(came, 'ingest', error), id: '101' })
  t.match(first, {
    ...{ step: 'ingest', code: 'UNKNOWN_SITE', reason: 'no such site', attempt: 1 },
    job: { id: jobId(request_id, 'a-track'), run: 3, accepted: '2026-02-01T00:00:00.000Z' },
    attributes: { mine: 'kept' },
  })
  t.equal(copy.id, first.id, 'a copy is the same letter')
  t.not(copy.message, first.message)
  const other = { ...came, id: '78' }
  t.not(readLetter({ ...other, ...setAsideAs(other, 'ingest', error) }).id, first.id)
})

t.test('a job without a request_id keeps the one that its own message gave it', async (t) => {
  const came = delivery({ asset_guid: 'a-track' }, {}, '5')
  const aside = setAsideAs(came, 'ingest', new PermanentError('NO_TRACK', 'x'))
  const letter = readLetter({ ...came, ...aside, id: '6' })
  t.equal(letter.job?.request.request_id, requestIdFrom('5'))
})

t.test(
  "Pub/Sub's own letters are CRASHED, and the job is found in their message",
  async (t) => {
    const between = {
      request: job,
      job: 'x',
      run: 4,
      route: 'cloud',
      accepted: '2026-02-01T00:00:00Z',
    }
    for (const [subscription, step] of [
      ['stage', 'stage'],
      ['encode-onprem-a', 'encode'],
      ['publish', 'publish'],
      ['events', 'recorder'],
      ['somebody-elses', 'somebody-elses'],
    ] as const) {
      const letter = readLetter(delivery(between, native(subscription)))
      t.match(letter, { code: 'CRASHED', step, attempt: 50, job: { run: 4, request: job } })
      t.match(letter.reason, /delivered 50 times/)
    }
    t.match(readLetter(delivery(job, { ...native('ingest'), run: '2' })), {
      code: 'CRASHED',
      job: { run: 2, request: job },
    })
  },
)

t.test('what a message says of itself does not make it another kind of letter', async (t) => {
  const lying = letterAttributes({
    id: 'f'.repeat(32),
    step: 's',
    code: 'LIE',
    reason: 'r',
    attempt: 1,
  })
  const letter = readLetter(delivery(job, { ...lying, ...native('stage') }))
  t.match(letter, { code: 'CRASHED', step: 'stage' })
  t.not(letter.id, lying.dead_letter_id)
  const came = delivery(job, { ...native('stage'), ...lying, googclient_x: 'y' })
  const aside = setAsideAs(came, 'ingest', new PermanentError('UNKNOWN_SITE', 'x'))
  t.match(readLetter({ ...came, ...aside }), { code: 'UNKNOWN_SITE', step: 'ingest' })
  t.notOk(Object.keys(aside.attributes).some((key) => /^(goog|Cloud)/.test(key)))
})

t.test('in what is no job none is found, and nothing is thrown', async (t) => {
  const odd: unknown[] = [
    ...['', 'hello {', 'null', '7', '[]', '"text"', '{"request":null}', '{"request":7}'],
    ...[Buffer.from([0xff, 0xfe]), Buffer.alloc(0), '['.repeat(100_000)],
    ...[{}, { asset_guid: '../up' }, { ...job, unknown: 1 }, { ...job, request_id: 'a\nb' }],
    ...[{ request: { ...job, asset_guid: undefined } }, { request: [job] }],
    ...[{ ...job, derivative_assets: [] }, { events: [] }, '{"__proto__":{"request":1}}'],
  ]
  for (const body of odd) {
    const letter = readLetter(delivery(body))
    t.equal(letter.job, undefined, String(body).slice(0, 60))
    t.match(letter, { code: 'NOT_A_MESSAGE', step: 'unknown', attempt: 1 })
    t.match(letter.id, /^[0-9a-f]{32}$/)
  }
})

t.test('counts and moments that cannot be true are not believed', async (t) => {
  const run = (attributes: Record<string, string>) =>
    readLetter(delivery(job, attributes)).job?.run
  for (const odd of ['0', '-1', '1.5', 'x', '', '1e99', '9999999'])
    t.equal(run({ run: odd }), 1)
  t.equal(run({ run: '7' }), 7)
  for (const accepted of ['2999-01-01T00:00:00Z', 'yesterday', '2026-99-99T99:99:99Z']) {
    t.equal(readLetter(delivery(job, { accepted })).job?.accepted, undefined, accepted)
  }
  t.equal(readLetter(delivery(job, { dead_letter_attempt: 'x' })).attempt, 1)
  t.not(readLetter(delivery(job, { dead_letter_id: '../x' })).id, '../x')
})
