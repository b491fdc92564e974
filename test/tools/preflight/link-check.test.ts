import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runChecks } from '../../../tools/preflight/check.ts'
import { linkCheck } from '../../../tools/preflight/link-check.ts'

const before = process.env.GOOGLE_APPLICATION_CREDENTIALS
t.teardown(() => {
  if (before === undefined) delete process.env.GOOGLE_APPLICATION_CREDENTIALS
  else process.env.GOOGLE_APPLICATION_CREDENTIALS = before
})

async function checkAs(t: Test, credentials: object) {
  const path = join(t.testdir({}), 'credentials.json')
  writeFileSync(path, JSON.stringify(credentials))
  process.env.GOOGLE_APPLICATION_CREDENTIALS = path
  const check = linkCheck('gs://bucket/assets', {})
  return runChecks(check === undefined ? [] : [check])
}

t.test('an account with a key can sign', async (t) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const found = await checkAs(t, { type: 'service_account', client_email: 'a@b', private_key })
  t.match(found, [{ check: 'links', state: 'ok' }])
})

t.test('a person cannot, and is asked to grant the right to the account', async (t) => {
  const secret = { client_id: 'x', client_secret: 'y', refresh_token: 'z' }
  const found = await checkAs(t, { type: 'authorized_user', ...secret })
  t.match(found, [{ check: 'links', state: 'fault', remedy: /serviceAccountTokenCreator/ }])
})

t.test('where ingest signs its own there is nothing to check', async (t) => {
  t.equal(linkCheck('file:///assets', {}), undefined)
  t.equal(linkCheck('gs://bucket', { apiEndpoint: 'http://127.0.0.1:1' }), undefined)
})
