import { type Static, Type } from 'typebox'
import { MAX_HOURS } from '../contracts/messages/run.ts'
import { ROUTE_PATTERN } from '../contracts/names.ts'
import { Route } from '../contracts/route.ts'
import { STAGES } from '../contracts/stages.ts'
import { STORE_URI_START } from '../contracts/store-uri.ts'
import { TENANT_PATTERN, Tenant, TenantName } from '../contracts/tenants.ts'

const Seconds = (fallback: number, description: string) =>
  Type.Number({ default: fallback, minimum: 0, description })

/** The permissions of API clients: submit masters and jobs; read everything; redrive and discard dead letters. */
export const SCOPES = ['submit', 'read', 'operate'] as const
export type Scope = (typeof SCOPES)[number]

const Scopes = Type.Array(Type.Enum([...SCOPES]), { minItems: 1 })

/** The scopes of the holder of an identity, and on whose account the holder's jobs are made. */
const Grant = Type.Union([
  Scopes,
  Type.Object(
    { scopes: Scopes, tenant: Type.Optional(TenantName('')) },
    { additionalProperties: false },
  ),
])
export type Grant = Static<typeof Grant>

const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** https, or a server on this machine. */
const ISSUER_PATTERN =
  '^(https://[^?#]+|http://(127\\.0\\.0\\.1|localhost|\\[::1\\])(:\\d+)?(/[^?#]*)?|)$'

const StoreUri = (description: string) =>
  Type.String({ pattern: `^${STORE_URI_START}`, description })

/**
 * All settings. Each is read from the environment variable TRACKCHAIN_ + its name in upper case. The name ends with the
 * unit. docs/reference/configuration.md is made of this.
 */
export const Settings = Type.Object(
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
    ingest: Type.String({
      default: '',
      pattern: '^(|https?://[^?#]+)$',
      description:
        'URL of the HTTP API, which is asked for what has been cancelled; empty: it is not asked, and cancelled work goes on.',
    }),
    ingest_token: Type.String({
      default: '',
      writeOnly: true,
      description: 'Bearer token for that, with the scope read; empty: none.',
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
      default: { cloud: { templates: [], prefixes: [], core_slowdown: 1 } },
      description: 'All routes of the deployment, the default first.',
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
      description:
        'Steps under way at once in each lane; 0: one per core where steps compute, else 200.',
    }),
    shared_cores: Type.Boolean({
      default: false,
      description:
        'Whether the parent process lends the cores, because other services share them.',
    }),
    target_ms: Type.Integer({
      default: 6000,
      minimum: 100,
      maximum: 10_000,
      description: 'What a planned step may cost on one full core of the reference.',
    }),
    master_wait_seconds: Seconds(
      600,
      'How long stage waits for a master that is not there yet.',
    ),
    watchdog_after_seconds: Seconds(
      1800,
      'How long a job may stand still before it is published again.',
    ),
    callback_quiet_seconds: Seconds(
      60,
      'How long nothing may have happened to a release whose jobs have all ended before it is complete: they may be submitted one by one.',
    ),
    event_retention_days: Type.Integer({
      default: 90,
      minimum: 0,
      maximum: 36_500,
      description: 'How long events and settled dead letters are kept; 0: for ever.',
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
          'The Pod that the dispatcher mints for each track, less what it fills in itself: docs/tasks/dispatch.md.',
      },
    ),
    host: Type.String({ default: '127.0.0.1', description: 'What the HTTP API binds to.' }),
    port: Type.Integer({
      default: 8080,
      minimum: 0,
      maximum: 65_535,
      description: 'The port of the HTTP API.',
    }),
    drain_seconds: Seconds(
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
      description: 'The port of these; 0: any free one, logged at the start.',
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
              /** On whose account its jobs are made. Default: the tenant `default`. */
              tenant: Type.Optional(TenantName('')),
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
          'The bearer tokens that may use the API, each its sha256 (hex), or {"sha256", "scopes", "name", "tenant"} with scopes submit, read, operate.',
      },
    ),
    oidc: Type.Object(
      {
        issuer: Type.String({ pattern: ISSUER_PATTERN }),
        audience: Type.String(),
        subjects: Type.Optional(Type.Record(Type.String(), Grant)),
        emails: Type.Optional(Type.Record(Type.String(), Grant)),
      },
      {
        additionalProperties: false,
        default: { issuer: '', audience: '' },
        description:
          'Whose identity tokens may use the API: {"issuer", "audience", "subjects": {sub: scopes}, "emails": {email: scopes}}; instead of scopes also {"scopes", "tenant"}; no issuer: none.',
      },
    ),
    cors_origins: Type.Array(Type.String({ maxLength: 300 }), {
      default: [],
      description:
        'Origins whose pages may use the API from a browser, e.g. ["https://label.example"]; ["*"]: all of them, where tokens are needed; empty: none but its own.',
    }),
    // Printable ASCII, so that a character is a byte.
    link_keys: Type.Array(
      Type.String({ minLength: 32, maxLength: 1000, pattern: '^[!-~]*$', writeOnly: true }),
      {
        default: [],
        maxItems: 20,
        writeOnly: true,
        description:
          'Secrets that sign addresses of assets on file:// stores, each 32 to 1000 printable ASCII characters: the first signs, all are accepted. Empty: a key of its own at each start. Addresses on gs:// need none.',
      },
    ),
    tenants: Type.Record(Type.String({ pattern: TENANT_PATTERN }), Tenant, {
      default: {},
      description:
        'On whose account jobs are made: {name: {"weight", "quota"}}. `weight` (1): the share of what campaigns release; `quota`: how many jobs of the lanes urgent and new may be open (absent: any number). The tenant `default` always exists.',
    }),
    max_upload_mib: Type.Integer({
      default: 4096,
      minimum: 1,
      description: 'The largest master that is uploaded through the API.',
    }),
    max_message_kib: Type.Integer({
      default: 1024,
      minimum: 1,
      maximum: 10_240,
      description: 'The largest message of the ingest topic.',
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
    max_rate_hz: Type.Integer({
      default: 768_000,
      minimum: 4000,
      maximum: 768_000,
      description: 'The highest sample rate of a master.',
    }),
    strict: Type.Boolean({
      default: false,
      description:
        'Whether stage refuses every master that has warnings, whatever its job says.',
    }),
    rate_limit_per_minute: Type.Integer({
      default: 6000,
      minimum: 0,
      description:
        'Requests a minute of each token and, of those that bring none, of each address; 0: no limit.',
    }),
    trusted_proxies: Type.Array(Type.String({ pattern: '^[0-9a-fA-F.:]+/\\d{1,3}$' }), {
      default: [],
      description:
        'Networks (CIDR) of the proxies whose X-Forwarded-For is believed. No other X-Forwarded-For is.',
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
        'Where spans go: a file (file:///…, lines of OTLP-JSON) or the URL of an OTLP receiver (http://…/v1/traces); empty: off.',
    }),
    log_level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error'], {
      default: 'info',
      description: 'The least severe lines of the log that are written.',
    }),
  },
  { additionalProperties: false },
)

export type Config = Readonly<Static<typeof Settings>>

/** The processes that read settings; `pod`: the one that the dispatcher starts for a track. */
const READING = ['ingest', ...STAGES, 'publish', 'dispatch', 'pod'] as const
export type Reader = (typeof READING)[number]

const all = (...but: readonly Reader[]) => READING.filter((each) => !but.includes(each))
const EVERY = all()
const STAGING: readonly Reader[] = ['stage', 'pod']
const API: readonly Reader[] = ['ingest']

/** Which processes read a setting. The dispatcher hands its pods what `pod` reads, except for secrets. */
export const READERS: Readonly<Record<keyof Config, readonly Reader[]>> = {
  project: EVERY,
  pubsub: EVERY,
  pubsub_token: EVERY,
  ingest: all('ingest', 'publish'),
  ingest_token: all('ingest', 'publish'),
  storage: EVERY,
  database: ['ingest', 'publish'],
  assets: EVERY,
  scratch: EVERY,
  uploads: EVERY,
  route: all('ingest', 'publish'),
  routes: EVERY,
  derivatives: EVERY,
  concurrency: all('dispatch'),
  shared_cores: STAGES,
  target_ms: STAGING,
  master_wait_seconds: STAGING,
  watchdog_after_seconds: ['publish'],
  callback_quiet_seconds: ['publish'],
  event_retention_days: ['publish'],
  max_pods: ['dispatch'],
  pod_template: ['dispatch'],
  host: API,
  port: API,
  drain_seconds: API,
  health_host: all('ingest', 'pod'),
  health_port: all('ingest', 'pod'),
  tokens: API,
  oidc: API,
  cors_origins: API,
  link_keys: API,
  tenants: ['ingest', 'publish'],
  max_upload_mib: API,
  max_message_kib: API,
  max_hours: STAGING,
  max_channels: STAGING,
  max_rate_hz: STAGING,
  strict: STAGING,
  rate_limit_per_minute: API,
  trusted_proxies: API,
  proxy_hops: API,
  max_bodies: API,
  max_streams: API,
  traces: EVERY,
  log_level: EVERY,
}
