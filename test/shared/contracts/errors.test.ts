import t from 'tap'
import { CAMPAIGN_ERRORS } from '#shared/contracts/errors/campaign.ts'
import {
  asChainError,
  CHAIN_ERRORS,
  PermanentError,
  RestartError,
} from '#shared/contracts/errors/chain.ts'
import { HTTP_ERRORS, HttpError, statusOf } from '#shared/contracts/errors/http.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { afterStoreError, StoreError } from '#shared/contracts/errors/store.ts'

t.test(
  'what is thrown becomes a sentence that any row, event and terminal can hold',
  async (t) => {
    const quoted = () => JSON.parse('\0\0\u001b[31m')
    t.throws(quoted, /\0/, 'its own words do not')
    const said = await Promise.resolve().then(quoted).catch(sentence)
    t.match(said, /\\u0000/)
    t.notMatch(said, /(?![\t\n])\p{Cc}/u)
    t.equal(sentence(new Error('half \ud800')), 'half \ufffd')
    t.equal(sentence('two\nlines, Łódź, 東京'), 'two\nlines, Łódź, 東京')
    const odd = { toString: () => assert(), [Symbol.toPrimitive]: () => assert() }
    t.match(sentence(odd), /nothing of itself/)
  },
)

function assert(): never {
  throw new Error('no words')
}

t.test('a remedy speaks of what was at fault', (t) => {
  for (const code of ['OVER_BUDGET', 'STANDS_STILL'] as const) {
    t.match(CHAIN_ERRORS[code].remedy, /the code of the derivative asset/)
    t.notMatch(CHAIN_ERRORS[code].remedy, /master|stage/)
  }
  t.match(CHAIN_ERRORS.MASTER_OVER_BUDGET.remedy, /master/)
  t.end()
})

t.test('a code belongs to one world, and none is taken for one of another', async (t) => {
  const codes = [CHAIN_ERRORS, HTTP_ERRORS, CAMPAIGN_ERRORS].flatMap(Object.keys)
  t.equal(new Set(codes).size, codes.length)
  // @ts-expect-error: a verdict on a run is no refusal of a request
  t.equal(new HttpError('GAVE_UP', 'no').code, 'GAVE_UP')
  // @ts-expect-error: a refusal of a request is no verdict on a run
  t.equal(new PermanentError('NOT_FOUND', 'no').code, 'NOT_FOUND')
  // @ts-expect-error: a verdict does not send the job to ingest again
  t.equal(new RestartError('GAVE_UP', 'no').code, 'GAVE_UP')
  // @ts-expect-error: what a driver says is no verdict
  t.equal(new PermanentError('out-of-bounds', 'no').code, 'out-of-bounds')
  t.equal(statusOf('NOT_JSON'), 400)
  t.equal(statusOf('UNKNOWN_SITE'), 422)
})

t.test(
  'what a store says means something to a run only where no retry would mend it',
  async (t) => {
    const of = (code: StoreError['code']) => asChainError(new StoreError(code, 'so'))
    t.match(of('other-bytes'), { name: 'PermanentError', code: 'OTHER_BYTES', message: 'so' })
    t.match(of('changed'), { name: 'RestartError', code: 'MASTER_CHANGED' })
    for (const code of ['not-found', 'throttled', 'denied', 'damaged'] as const)
      t.equal((of(code) as StoreError).code, code)
    t.equal(afterStoreError(new StoreError('throttled', '')), 'retry')
    t.equal(afterStoreError(Object.assign(new Error(), { code: 'EACCES' })), 'setting')
    t.equal(afterStoreError(new Error('silence')), undefined)
  },
)
