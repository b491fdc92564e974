import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { doorToken } from '../../../tools/local/door-token.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The tokens that ingest knows then. */
function known(env: Record<string, string>) {
  const { ingest, others } = doorToken(env)
  const own = others.TRACKCHAIN_INGEST_TOKEN
  const tokens = JSON.parse(ingest.TRACKCHAIN_TOKENS ?? 'null')
  return { ingest, own, tokens }
}

t.test('where the API wants tokens, the services get one that may read', (t) => {
  const given = sha256('of a person')
  for (const env of [
    { TRACKCHAIN_TOKENS: JSON.stringify([given]) },
    { TRACKCHAIN_TOKENS_FILE: join(t.testdir({ tokens: JSON.stringify([given]) }), 'tokens') },
  ]) {
    const { ingest, own = '', tokens } = known(env as Record<string, string>)
    t.match(tokens, [given, { sha256: sha256(own), scopes: ['read'] }])
    t.ok(own.length > 30)
    t.equal(ingest.TRACKCHAIN_TOKENS_FILE, undefined, 'not both')
    t.ok('TRACKCHAIN_TOKENS_FILE' in ingest)
  }
  t.match(known({ TRACKCHAIN_OIDC: '{}' }).tokens, [{ scopes: ['read'] }])
  t.not(known({ TRACKCHAIN_OIDC: '{}' }).own, known({ TRACKCHAIN_OIDC: '{}' }).own)
  t.end()
})

t.test(
  'where it wants none, where they have one, and where it is faulty, nothing is changed',
  (t) => {
    for (const env of [
      {},
      { TRACKCHAIN_TOKENS: '[]', TRACKCHAIN_INGEST_TOKEN: 'x' },
      { TRACKCHAIN_TOKENS: 'no list' },
      { TRACKCHAIN_TOKENS: '{}' },
      { TRACKCHAIN_TOKENS_FILE: '/nowhere' },
      { TRACKCHAIN_TOKENS: '[]', TRACKCHAIN_TOKENS_FILE: '/both' },
    ] as Record<string, string>[])
      t.same(doorToken(env), { ingest: {}, others: {} })
    t.end()
  },
)
