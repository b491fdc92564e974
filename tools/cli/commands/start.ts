import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { extname } from 'node:path'
import { inspect } from 'node:util'
import { retry } from '#shared/async/retry.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { AUDIO_EXTENSIONS } from '#shared/contracts/file-names.ts'
import { parseUri } from '#shared/store/open.ts'
import { settingOf, type Wishes } from '../../local/chain-settings.ts'
import { folderUri } from '../../local/data-folder.ts'
import { type Chain, startChain } from '../../local/supervisor.ts'
import { coreFactor } from '../../preflight/core-check.ts'
import { interruptible } from '../../terminal/interrupt.ts'
import { parsed, pathFrom, portFrom, slowdownFrom, UsageError } from '../../terminal/usage.ts'

const HELP = `npm start [-- FLAGS]: the whole chain as a server on loopback.

  --port N         of the HTTP API (8080, or another when that is taken; 0: any)
  --pubsub-port N  of the Pub/Sub server (8085, or another when that is taken; 0: any)
  --data DIR       where everything is kept (./trackchain-data)
  --masters WHERE  where masters are looked for beside DIR/masters: a folder, which has them
                   as {asset_guid}.wav, .flac or .aiff, or a template of a URI such as
                   file:///mnt/masters/{asset_id}.wav; may be given several times
  --prefix WHERE   a folder or URI that a job's master_uri may lie below; likewise
  --assets WHERE   where finished assets are kept: a folder, or a bucket as gs://bucket/prefix (DIR/assets)
  --scratch WHERE  likewise intermediate objects (DIR/scratch)
  --uploads WHERE  likewise masters that are uploaded (DIR/uploads)
  --gcs-endpoint URL  the server that has the buckets, e.g. http://127.0.0.1:9000 of Google's
                   storage-testbench or fake-gcs-server (Google's own)
  --core-slowdown N  how much slower a core here is than the reference, 0.1 to 20 (1): steps are cut that much
                   shorter; auto: as measured at the start, in two seconds
  --derivatives DIR  a folder with derivative assets of your own
  --database DSN   a PostgreSQL of your own, e.g. postgresql://user@host/name; its password by PGPASSWORD or
                   ~/.pgpass, or all of it as TRACKCHAIN_DATABASE in the environment: all users of a machine
                   see command lines
  --pubsub ADDRESS host:port of another Pub/Sub server, e.g. Google's emulator
  --verbose        show the log
  --help           show this help

Other settings may be given as TRACKCHAIN_… in the environment, and so may assets, scratch, uploads, storage (the
endpoint), derivatives, database, pubsub and port. One that this decides otherwise is refused.
`

const OPTIONS = {
  port: { type: 'string' },
  'pubsub-port': { type: 'string' },
  data: { type: 'string', default: 'trackchain-data' },
  masters: { type: 'string', multiple: true },
  prefix: { type: 'string', multiple: true },
  assets: { type: 'string' },
  scratch: { type: 'string' },
  uploads: { type: 'string' },
  'gcs-endpoint': { type: 'string' },
  'core-slowdown': { type: 'string' },
  derivatives: { type: 'string' },
  database: { type: 'string' },
  pubsub: { type: 'string' },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Runs the chain until it is interrupted. @returns the exit code. */
export async function start(args: readonly string[]): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const { masters = [], prefix = [] } = values
  let chain: Chain | undefined
  const signal = interruptible(() => chain?.kill())
  tolerate(process.stdout, process.stderr)
  const say = (text: string) => print(process.stderr, text)
  signal.addEventListener('abort', () => say('Closing; once more ends it at once.'))
  const coreSlowdown =
    values['core-slowdown'] === 'auto'
      ? await measuredSlowdown(say, signal)
      : slowdownFrom(values['core-slowdown'])
  say('Starting …')
  chain = await withRoom(say, signal, () =>
    startChain({
      dataFolder: pathFrom(values.data),
      port: portFrom('port', values.port ?? settingOf('port')),
      pubsubPort: portFrom('pubsub-port', values['pubsub-port']),
      templates: masters.flatMap(templates),
      prefixes: [...masters.filter(isFolder), ...prefix].map(prefixFrom),
      coreSlowdown,
      derivatives: values.derivatives === undefined ? undefined : pathFrom(values.derivatives),
      database: databaseFrom(values.database),
      pubsub: values.pubsub ?? settingOf('pubsub'),
      stores: storesFrom(values),
      onNotice: say,
      ...(values.verbose ? { onLogLine: say } : {}),
      signal,
    }),
  )
  try {
    print(process.stdout, greeting(chain))
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await chain.close()
  }
  return 0
}

/** Keeps the chain running when the reader of our output exits, or when the file that it goes to is on a full disk. */
function tolerate(...outputs: readonly NodeJS.WriteStream[]): void {
  for (const output of outputs) output.on('error', () => {})
}

function print(output: NodeJS.WriteStream, text: string): void {
  try {
    output.write(`${text}\n`)
  } catch {}
}

const NO_ROOM = /ENOSPC|EDQUOT|no space left|disk is full|disk quota exceeded/i
const ROOM_AGAIN_MS = 10_000

/** Retries the start for as long as a full disk is the reason why it fails. */
function withRoom<T>(
  say: (text: string) => void,
  signal: AbortSignal,
  begin: () => Promise<T>,
): Promise<T> {
  return retry(begin, {
    signal,
    firstMs: ROOM_AGAIN_MS,
    mostMs: ROOM_AGAIN_MS,
    jitter: 0,
    isPassing: (error) => NO_ROOM.test(inspect(error)),
    onRetry(error) {
      say(`${sentence(error)}\nThere is no room: trying again in ${ROOM_AGAIN_MS / 1000} s.`)
      return undefined
    },
  })
}

/** The `core_slowdown` of a route for the core that this runs on, as measured. */
async function measuredSlowdown(
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const measured = Math.max(1, await coreFactor(signal))
  say(`Steps are cut for cores that are ${measured} times as slow as the reference.`)
  return Math.min(20, measured)
}

/** @throws UsageError when the connection string holds a password. The message does not repeat it. */
function databaseFrom(flag: string | undefined): string | undefined {
  if (flag === undefined) return settingOf('database') || undefined
  if (!hasPassword(flag)) return flag
  throw new UsageError(
    '--database has a password in it, which all users of this machine can see (ps). Give it as PGPASSWORD or in ' +
      '~/.pgpass, or the whole as TRACKCHAIN_DATABASE in the environment. If others use this machine, change it.',
  )
}

/** Whether a connection string holds a password. It may be a URL or words such as `host=…`. */
export function hasPassword(dsn: string): boolean {
  if (/(?:^|[\s?&])(?:ssl)?password\s*=/i.test(dsn)) return true
  const [, user = ''] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)@/i.exec(dsn) ?? []
  return user.includes(':')
}

/** The stores that are not in the data folder. @throws UsageError */
function storesFrom(
  values: {
    readonly [flag in 'assets' | 'scratch' | 'uploads' | 'gcs-endpoint']?: string | undefined
  },
): NonNullable<Wishes['stores']> {
  const stores: Record<string, string> = {}
  for (const name of ['assets', 'scratch', 'uploads'] as const) {
    const where = values[name] ?? settingOf(name)
    if (where === undefined) continue
    stores[name] = prefixFrom(where)
    try {
      parseUri(stores[name])
    } catch (error) {
      throw new UsageError(`--${name}: ${sentence(error)}.`)
    }
  }
  const storage = values['gcs-endpoint'] ?? settingOf('storage')
  if (storage === undefined) return stores
  if (/^https?:$/.test(URL.parse(storage)?.protocol ?? '')) return { ...stores, storage }
  throw new UsageError(`--gcs-endpoint must be a URL, got ${storage}.`)
}

function greeting({ url, pubsub, project, folder, assets }: Chain): string {
  const isMaster = (name: string) => AUDIO_EXTENSIONS.some((e) => extname(name) === `.${e}`)
  const example = readdirSync(folder.masters).find(isMaster)
  const guid = example?.replace(/\.[^.]*$/, '') ?? 'my-track'
  const job = JSON.stringify({ asset_guid: guid })
  return `
Trackchain is up.

  page     ${url}/ in your browser: drop audio there
  API      ${url}
  docs     ${url}/docs
  Pub/Sub  ${pubsub}, project ${project}
  masters  ${folder.masters}/{asset_guid}.wav, .flac, .aif or .aiff: put yours there
  assets   ${assets === folderUri(folder.assets) ? folder.assets : assets}
  log      ${folder.log}

Upload a master and have everything made of it:

  curl -F file=@my-track.wav -F asset_guid=my-track ${url}/v1/jobs
  curl ${url}/v1/tracks/my-track

Or ask from gcloud, in another terminal${example ? '' : `, with ${folder.masters}/my-track.wav in place`}:

  export CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://${pubsub}/
  export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true
  export CLOUDSDK_CORE_PROJECT=${project}
  export CLOUDSDK_CORE_DISABLE_PROMPTS=1
  gcloud pubsub topics publish ingest --message='${job}'
  gcloud pubsub subscriptions pull published --auto-ack

Google's client libraries: PUBSUB_EMULATOR_HOST=${pubsub}

Ctrl-C ends it; what was under way goes on at the next start.
`
}

function isUri(where: string): boolean {
  return /^(gs|file):\/\//.test(where)
}

function isFolder(where: string): boolean {
  return !isUri(where) && !where.includes('{')
}

function templates(where: string): string[] {
  if (isUri(where)) return [where]
  if (!isFolder(where)) return [folderUri(pathFrom(where)).replace(/\/$/, '')].map(unescaped)
  return AUDIO_EXTENSIONS.map((e) => `${folderUri(pathFrom(where))}{asset_guid}.${e}`)
}

/** The braces of a template, which a URI made of a path has escaped. */
function unescaped(uri: string): string {
  return uri.replaceAll('%7B', '{').replaceAll('%7D', '}')
}

function prefixFrom(where: string): string {
  return isUri(where) ? where : folderUri(pathFrom(where))
}
