import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ConfigError } from '#shared/contracts/errors/config.ts'
import { configEnv, configFor, readConfig } from '#shared/frame/config.ts'

const STORES = {
  TRACKCHAIN_ASSETS: 'file:///a',
  TRACKCHAIN_SCRATCH: 'file:///s',
  TRACKCHAIN_UPLOADS: 'file:///u',
}

function faultsOf(env: Record<string, string>): ConfigError['faults'] {
  try {
    readConfig(env)
  } catch (error) {
    return (error as ConfigError).faults
  }
  return []
}

t.test('every fault of a configuration names its variable', async (t) => {
  const faults = faultsOf({
    TRACKCHAIN_ASSETS: 'ftp://a',
    TRACKCHAIN_SCRATCH: 'file:///s',
    TRACKCHAIN_PORT: '65536',
    TRACKCHAIN_DRAIN_SECONDS: 'soon',
    TRACKCHAIN_DRAIN: '3',
    TRACKCHAIN_LOG_LEVEL: 'loud',
    TRACKCHAIN_ROUTES: '{"cloud":{"core_slowdown":0}}',
    TRACKCHAIN_TOKENS: '["secret"]',
    TRACKCHAIN_LINK_KEYS: `["secret","${'k'.repeat(32)}"]`,
    HOME: '/root',
  })
  const of = (variable: string) =>
    faults.filter((each) => each.variable === variable).map(({ wrong }) => wrong)
  t.match(of('TRACKCHAIN_ASSETS'), [/must match pattern .*, got "ftp:/])
  t.match(of('TRACKCHAIN_UPLOADS'), [/is missing; expected: Where masters/])
  t.match(of('TRACKCHAIN_PORT'), [/must be <= 65535, got 65536/])
  t.match(of('TRACKCHAIN_DRAIN_SECONDS'), [/must be number/])
  t.match(of('TRACKCHAIN_DRAIN'), [/is not a setting/])
  t.match(of('TRACKCHAIN_LOG_LEVEL'), [/must be one of "trace", .*"error", got "loud"/])
  t.match(of('TRACKCHAIN_ROUTES'), [/^\/cloud\/core_slowdown must be >= 0\.1, got 0/])
  t.ok(of('TRACKCHAIN_TOKENS').length > 0)
  t.match(of('TRACKCHAIN_LINK_KEYS'), [/^\/0 must NOT have fewer than 32 characters$/])
  t.notMatch(JSON.stringify(faults), 'secret')
  t.notMatch(JSON.stringify(faults), 'HOME')
})

t.test('what a setting is by default is allowed', async (t) => {
  const config = readConfig(STORES)
  t.same(readConfig(configEnv(config)), config)
})

t.test('what the commands read stops no service', async (t) => {
  const env = { ...STORES, TRACKCHAIN_TOKEN: 'mine', TRACKCHAIN_TARGET: 'https://x' }
  t.same(readConfig(env), readConfig(STORES))
})

t.test('JSON and secrets may be in a file', async (t) => {
  const folder = t.testdir({ dsn: 'postgresql://u@h/n\n', routes: '{"cloud":{}}\n' })
  const at = (name: string) => join(folder, name)
  const config = readConfig({
    ...STORES,
    TRACKCHAIN_DATABASE_FILE: at('dsn'),
    TRACKCHAIN_ROUTES_FILE: at('routes'),
  })
  t.equal(config.database, 'postgresql://u@h/n')
  t.same(config.routes, { cloud: { templates: [], prefixes: [], core_slowdown: 1 } })
  writeFileSync(at('routes'), '{')
  t.match(
    faultsOf({
      ...STORES,
      TRACKCHAIN_DATABASE_FILE: at('none'),
      TRACKCHAIN_ROUTES_FILE: at('routes'),
      TRACKCHAIN_TOKENS_FILE: at('dsn'),
      TRACKCHAIN_TOKENS: '[]',
      TRACKCHAIN_PORT_FILE: at('dsn'),
    }),
    [
      { variable: 'TRACKCHAIN_DATABASE_FILE', wrong: /cannot be read: ENOENT/ },
      { variable: 'TRACKCHAIN_TOKENS', wrong: /are both set/ },
      { variable: 'TRACKCHAIN_PORT_FILE', wrong: /is not a setting/ },
      { variable: 'TRACKCHAIN_ROUTES', wrong: /must be object/ },
    ],
  )
})

t.test('a pod is handed what it reads, and no secret', async (t) => {
  const env = { TRACKCHAIN_DATABASE: 'dsn', TRACKCHAIN_PUBSUB_TOKEN: 'token' }
  const config = readConfig({ ...STORES, ...env, TRACKCHAIN_MAX_HOURS: '2' })
  const handed = configFor('pod', config)
  const { assets, scratch, uploads, max_hours, route } = handed
  t.match(config, { assets, scratch, uploads, max_hours, route })
  for (const name of ['database', 'pubsub_token', 'tokens', 'health_port', 'shared_cores'])
    t.notOk(name in handed, name)
  t.same(configFor('pod', readConfig(configEnv(handed))), handed)
})
