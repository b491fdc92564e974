import { Readable } from 'node:stream'
import fastify from 'fastify'
import t from 'tap'
import { LiveEvent } from '#shared/contracts/api/live.ts'
import { LineResult } from '#shared/contracts/api/submission.ts'
import { describedResponses } from './described.ts'

const ACCEPTED = {
  ...{ line: 1, status: 202, state: 'accepted' },
  ...{ request_id: 'r', asset_guid: 'g', job: 'j' },
}
const REFUSED = { line: null, status: 503, code: 'BUS_DOWN', detail: 'Pub/Sub is away.' }
const BOARD = 'event: board\ndata: {"at":"2026-03-01T10:00:00.000Z"}\n\n'

for (const [type, schema, sent, fault] of [
  ['application/x-ndjson', LineResult, lines(ACCEPTED, REFUSED), undefined],
  ['application/x-ndjson', LineResult, lines(ACCEPTED, { ...REFUSED, hint: '' }), /hint/],
  [
    'application/x-ndjson',
    LineResult,
    lines({ line: 1, status: 202, state: 'accepted' }),
    /request_id/,
  ],
  ['text/event-stream', LiveEvent, ': a comment\n\n', undefined],
  ['text/event-stream', LiveEvent, BOARD, /accepting/],
  ['text/event-stream', LiveEvent, 'event: tracks\ndata: {}\n\n', /event/],
] as const) {
  t.test(`a stream of ${type} is held against its schema: ${fault ?? 'sound'}`, async (t) => {
    const app = fastify()
    app.setSerializerCompiler(() => JSON.stringify)
    const faults = describedResponses(app)
    const response = { 200: { content: { [type]: { schema } } } }
    app.get('/', { schema: { response } }, async (_, reply) => {
      // In pieces that end anywhere.
      const pieces = sent.match(/.{1,20}/gs) ?? []
      return reply.type(type).send(Readable.from(pieces, { objectMode: false }))
    })
    t.equal((await app.inject('/')).body, sent)
    await app.close()
    if (fault === undefined) t.strictSame([...faults], [])
    else t.match([...faults], [fault])
  })
}

function lines(...results: readonly object[]): string {
  return results.map((each) => `${JSON.stringify(each)}\n`).join('')
}
