import { type Static, Type } from 'typebox'
import { ConfigError, type ConfigFault } from '../contracts/errors/config.ts'
import { MAX_HOURS } from '../contracts/messages/run.ts'
import { ROUTE_PATTERN } from '../contracts/names.ts'
import { Route } from '../contracts/route.ts'
import { compile, type Fault } from '../contracts/validator.ts'

const Seconds = (fallback: number, description: string) =>
  Type.Number({ default: fallback, minimum: 0, description: `${description} Seconds.` })

/** The permissions of API clients: submit masters and jobs; read everything; redrive and discard dead letters. */
export const SCOPES = ['submit', 'read', 'operate'] as const
export type Scope = (typeof SCOPES)[number]

const Scopes = Type.Array(Type.Enum([...SCOPES]), { minItems: 1 })

const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** https, or a server on this machine. */
const ISSUER_PATTERN =
  '^(https://[^?#]+|http://(127\\.0\\.0\\.1|localhost|\\[::1\\])(:\\d+)?(/[^?#]*)?|)$'

const StoreUri = (description: string) => Type.String({ pattern: '^(gs|file)://', description })

/** All settings. Each is read from the environment variable TRACKCHAIN_ + its name in upper case. */
const Schema = Type.Object(
  {
    project: Type.String({
      default: 'trackchain-local',
      description: 'Google Cloud project of the topics.',
    }),
    pubsub: Type.String({
      default: '',
      description: 'host:port of a local Pub/Sub server; empty: Google Cloud.',
    }),
    pubsub_token: Type.String({
      default: '',
      writeOnly: true,
      description: "Bearer token of the chain's own services at that server; empty: none.",
    }),
    storage: Type.String({
      default: '',
      description: 'URL of another Cloud Storage endpoint, for tests; empty: Google Cloud.',
    }),
    database: Type.String({
      default: '',
      writeOnly: true,
      description: 'PostgreSQL connection string.',
    }),
    assets: StoreUri('Where finished assets live.'),
    scratch: StoreUri("Where this route's intermediate objects live."),
    uploads: StoreUri('Where masters that are uploaded through the API live.'),
    route: Type.String({
      default: 'cloud',
      pattern: ROUTE_PATTERN,
      description: 'The route whose topics this process consumes.',
    }),
    routes: Type.Record(Type.String({ pattern: ROUTE_PATTERN }), Route, {
      default: { cloud: { templates: [], prefixes: [], factor: 1 } },
      description: 'JSON: all routes of the deployment, the default first.',
    }),
    derivatives: Type.String({
      default: '',
      description:
        "A folder with an operator's own derivative assets, beside the built-in ones.",
    }),
    concurrency: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 2000,
      description: 'Steps under way at once; 0: one per core where steps compute, else 200.',
    }),
    lent_cores: Type.Boolean({
      default: false,
      description:
        'Whether the parent process lends the cores, because other services share them.',
    }),
    target_ms: Type.Integer({
      default: 6000,
      minimum: 100,
      maximum: 10_000,
      description: 'What a planned step may cost on one full core of the reference, ms.',
    }),
    master_wait: Seconds(600, 'How long stage waits for a master that is not there yet.'),
    watchdog_after: Seconds(1800, 'When a job that has not ended is published again.'),
    event_days: Type.Integer({
      default: 90,
      minimum: 0,
      maximum: 36_500,
      description: 'Days that events and settled dead letters are kept; 0: for ever.',
    }),
    max_pods: Type.Integer({
      default: 20,
      minimum: 1,
      maximum: 1000,
      description: 'Pods that the dispatcher lets run at once.',
    }),
    pod_template: Type.Object(
      {},
      {
        default: {},
        description:
          'JSON: the Pod that the dispatcher mints for each track, less what it fills in itself: docs/tasks/dispatch.md.',
      },
    ),
    host: Type.String({ default: '127.0.0.1', description: 'What the HTTP API binds to.' }),
    port: Type.Integer({
      default: 8080,
      minimum: 0,
      maximum: 65_535,
      description: 'Its port.',
    }),
    drain: Seconds(
      3,
      'How long the HTTP API still takes requests when it is asked to stop and is no longer ready.',
    ),
    health_host: Type.String({
      default: '127.0.0.1',
      description: 'What /healthz, /readyz and /metrics of the other services bind to.',
    }),
    health_port: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 65_535,
      description: 'Their port; 0: any free one, logged at the start.',
    }),
    // Faults do not show the value, which is most likely the secret itself, given here by mistake.
    tokens: Type.Array(
      Type.Union(
        [
          { ...Digest, writeOnly: true },
          Type.Object(
            {
              sha256: { ...Digest, writeOnly: true },
              scopes: Scopes,
              /** The name of the client in the history. */
              name: Type.Optional(Type.String({ pattern: '^[ -~]{1,100}$' })),
            },
            { additionalProperties: false, writeOnly: true },
          ),
        ],
        { writeOnly: true },
      ),
      {
        default: [],
        writeOnly: true,
        description:
          'JSON: the bearer tokens that may use the API, each its sha256 (hex), or {"sha256", "scopes", "name"} with scopes submit, read, operate.',
      },
    ),
    oidc: Type.Object(
      {
        issuer: Type.String({ pattern: ISSUER_PATTERN }),
        audience: Type.String(),
        subjects: Type.Optional(Type.Record(Type.String(), Scopes)),
        emails: Type.Optional(Type.Record(Type.String(), Scopes)),
      },
      {
        additionalProperties: false,
        default: { issuer: '', audience: '' },
        description:
          'JSON: whose identity tokens may use the API: {"issuer", "audience", "subjects": {sub: scopes}, "emails": {email: scopes}}; no issuer: nobody\'s.',
      },
    ),
    max_upload_mb: Type.Integer({ default: 4096, minimum: 1, description: 'MiB per master.' }),
    max_message_kb: Type.Integer({
      default: 1024,
      minimum: 1,
      maximum: 10_240,
      description: 'KiB per message of the ingest topic.',
    }),
    max_hours: Type.Number({
      default: 24,
      exclusiveMinimum: 0,
      maximum: MAX_HOURS,
      description: 'How long a master may be.',
    }),
    max_channels: Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 8,
      description: 'How many channels a master may have.',
    }),
    max_rate: Type.Integer({
      default: 768_000,
      minimum: 4000,
      maximum: 768_000,
      description: 'How many Hz a master may have.',
    }),
    strict: Type.Boolean({
      default: false,
      description:
        'Whether stage refuses every master that has warnings, whatever its job says.',
    }),
    rate_limit: Type.Integer({
      default: 6000,
      minimum: 0,
      description:
        'Requests a minute of each token and, of those that bring none, of each address; 0: no limit.',
    }),
    trusted_proxies: Type.Array(Type.String({ pattern: '^[0-9a-fA-F.:]+/\\d{1,3}$' }), {
      default: [],
      description:
        "JSON: networks (CIDR) of the proxies whose X-Forwarded-For is believed; nobody else's is.",
    }),
    proxy_hops: Type.Integer({
      default: 1,
      minimum: 1,
      maximum: 20,
      description:
        "How many addresses proxies put at the end of X-Forwarded-For; the first of these is the client's.",
    }),
    max_bodies: Type.Integer({
      default: 512,
      minimum: 2,
      description: 'Bodies that are received at once; one client may have half of them.',
    }),
    max_streams: Type.Integer({
      default: 512,
      minimum: 2,
      description: 'Streams of /v1/live at once; one client may have an eighth of them.',
    }),
    traces: Type.String({
      default: '',
      pattern: '^(|file:///.+|https?://.+)$',
      description:
        'Where spans go: a file (file:///…, lines of OTLP-JSON) or the URL of an OTLP receiver (http://…/v1/traces); empty: none are made.',
    }),
    log_level: Type.Union(
      ['trace', 'debug', 'info', 'warn', 'error'].map((level) => Type.Literal(level)),
      { default: 'info' },
    ),
  },
  { additionalProperties: false },
)

export type Config = Readonly<Static<typeof Schema>>

const PREFIX = 'TRACKCHAIN_'
const check = compile<Config>(
  Schema,
  'configuration',
  (_sentence, _at, faults) => new ConfigError(faults.map(toConfigFault)),
)

/** The environment variable of a setting. */
export function variableOf(setting: string): string {
  return PREFIX + setting.toUpperCase()
}

function toConfigFault({ at, wrong, property }: Fault): ConfigFault {
  const [, name = property ?? '', ...below] = at.split('/')
  const variable = variableOf(name)
  if (below.length > 0) return { variable, wrong: `/${below.join('/')} ${wrong}` }
  if (at !== '') return { variable, wrong }
  const isKnown = name in Schema.properties
  return { variable, wrong: isKnown ? 'is missing' : 'is not a setting: docs/configuration.md' }
}

/**
 * Reads the configuration of this process, frozen. No other code reads process.env.
 * @throws ConfigError that lists all faults at once, unknown TRACKCHAIN_ variables included.
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const values: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(Schema.properties)) {
    const text = env[variableOf(name)]
    values[name] =
      text === undefined
        ? (property as { default?: unknown }).default
        : typed(text, property as { type?: unknown })
  }
  for (const name of Object.keys(env)) {
    if (!name.startsWith(PREFIX)) continue
    const known = name.slice(PREFIX.length).toLowerCase()
    if (!(known in Schema.properties)) values[known] = env[name]
  }
  for (const route of Object.values((values.routes ?? {}) as Record<string, object>)) {
    if (typeof route !== 'object' || route === null) continue
    const given = { ...route }
    Object.assign(route, { templates: [], prefixes: [], factor: 1 }, given)
  }
  return Object.freeze(check(values))
}

/** The settings as environment variables, for a child process. */
export function configEnv(config: Partial<Config>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => [
      variableOf(name),
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}

function typed(text: string, property: { type?: unknown }): unknown {
  if (property.type === 'string' || property.type === undefined) return text
  if (property.type === 'integer' || property.type === 'number') {
    return text.trim() === '' ? text : Number(text)
  }
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
