import t from 'tap'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { wav } from '../../support/audio.ts'
import { surroundings, until } from '../../support/chain.ts'
import { allConsumers } from '../../support/one-process.ts'
import { club } from '../../support/synth.ts'

const around = await surroundings()
const { bus, database, config, letters, published } = around
const consumers = await allConsumers({
  config,
  bus,
  database,
  log: createLog('faults', 'fatal'),
})
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

const publish = (
  text: string | Buffer,
  attributes: Record<string, string> = {},
  topic = 'ingest',
) => bus.publish(topic, { data: Buffer.from(text), attributes })

const letterWith = async (code: string, body: string) => {
  const found = () =>
    letters.find(
      (letter) => letter.attributes.dead_letter_code === code && letter.body.includes(body),
    )
  await until(() => found() !== undefined)
  return found()
}

for (const [what, body, code, reason] of [
  ['that is not JSON', 'hello {', 'NOT_JSON', /JSON/],
  ['of no bytes at all but an attribute', '', 'NOT_JSON', /JSON/],
  ['that is not UTF-8', Buffer.from([0xff, 0xfe, 0x7b]), 'NOT_JSON', /./],
  ['that is an array', '[{"asset_guid":"array"}]', 'NOT_AN_ENCODE_JOB', /must be object/],
  [
    'with a wrong type',
    '{"asset_guid":"typed","asset_id":"7"}',
    'NOT_AN_ENCODE_JOB',
    /asset_id must be integer/,
  ],
  ['that names no track', '{"derivative_assets":["echo"]}', 'NO_TRACK', /asset_guid/],
  ['of an unknown site', '{"asset_guid":"sited","site":"mars"}', 'UNKNOWN_SITE', /"mars"/],
  [
    'for an unknown asset',
    '{"asset_guid":"odd","derivative_assets":["bmp"]}',
    'UNKNOWN_DERIVATIVE',
    /"bmp"/,
  ],
  [
    'that leaves its folder',
    '{"asset_guid":"../up"}',
    'NOT_AN_ENCODE_JOB',
    /asset_guid must match/,
  ],
  [
    'with a master elsewhere',
    '{"asset_guid":"out","master_uri":"file:///etc/passwd"}',
    'MASTER_OUT_OF_BOUNDS',
    /etc/,
  ],
] as const) {
  t.test(`a message ${what} ends as a dead letter that says why`, async (t) => {
    await publish(body, { mine: 'kept' })
    const letter = await letterWith(code, body.toString())
    t.match(letter?.attributes, {
      dead_letter_code: code,
      dead_letter_reason: reason,
      dead_letter_step: 'ingest',
      dead_letter_attempt: '1',
      mine: 'kept',
    })
  })
}

t.test('a foreign message on an inner topic is set aside, and the step goes on', async (t) => {
  await publish('{"x":1}', {}, 'encode')
  const letter = await letterWith('NOT_A_MESSAGE', '"x"')
  t.equal(letter?.attributes.dead_letter_step, 'encode')
})

t.test('a master that never comes fails the job, visibly, and dead-letters it', async (t) => {
  const request_id = '11111111-1111-4111-8111-111111111111'
  await around.submit({
    request_id,
    asset_guid: 'nowhere',
    derivative_assets: ['echo', 'pieces'],
  })
  await until(() => published.has('nowhere'))
  t.match(published.get('nowhere'), [{ state: 'failed', revision: null }])
  const [status] = await jobsOfRequest(database, request_id)
  t.match(status, {
    state: 'failed',
    assets: { echo: { code: 'MASTER_NOT_FOUND', step: 'stage' } },
  })
  const letter = await letterWith('MASTER_NOT_FOUND', 'nowhere')
  t.match(JSON.parse(letter?.body ?? ''), { request_id, derivative_assets: ['echo', 'pieces'] })
})

t.test('a master that is no audio fails the job with what it looks like', async (t) => {
  await around.master('text', Buffer.from('#EXTM3U\n/etc/passwd\n'))
  await around.submit({ asset_guid: 'text', derivative_assets: ['echo'] })
  await until(() => published.has('text'))
  t.match(published.get('text'), [{ state: 'failed', assets: [{ code: 'MASTER_UNREADABLE' }] }])
})

t.test('one asset that throws leaves the others published, and the job partial', async (t) => {
  await around.master('mixed', wav(club(44_100)))
  await around.submit({ asset_guid: 'mixed', derivative_assets: ['broken', 'echo', 'pieces'] })
  await until(() => published.has('mixed'))
  t.match(published.get('mixed'), [
    {
      state: 'partial',
      assets: [
        {
          asset: 'broken',
          state: 'failed',
          code: 'RENDER_FAILED',
          sentence: /this plug-in is broken/,
        },
        { asset: 'echo', state: 'made', result: { sha256: /^[0-9a-f]{64}$/ } },
        { asset: 'pieces', state: 'made', uris: { txt: /^file:/, bin: /^file:/ } },
      ],
    },
  ])
  const letter = await letterWith('RENDER_FAILED', 'mixed')
  t.same(
    JSON.parse(letter?.body ?? '').derivative_assets,
    ['broken'],
    'narrowed to what failed',
  )
})

t.test('asking again adds assets, and repeats no work', async (t) => {
  const request_id = '22222222-2222-4222-8222-222222222222'
  await around.master('wider', wav(club(44_100)))
  await around.submit({ request_id, asset_guid: 'wider', derivative_assets: ['echo'] })
  await until(() => published.has('wider'))
  await around.submit({ request_id, asset_guid: 'wider', derivative_assets: ['pieces'] })
  await until(() => published.get('wider')?.length === 2)
  const [first, second] = published.get('wider') ?? []
  t.not(second?.id, first?.id)
  t.same(
    second?.assets.map(({ asset }) => asset),
    ['echo', 'pieces'],
  )
  const page = await trackHistory(database, 'wider', { limit: 100 })
  t.equal(
    page.events.filter(({ step }) => step === 'analyze').length <= 1,
    true,
    'analyzed once',
  )
})
