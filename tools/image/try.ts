// Starts the image as a cluster would: as an unprivileged user, with a read-only root and a writable data folder. First
// each service by itself, from its start until it is ready; then all of them, with one track.
//   node tools/image/try.ts ROOT IMAGE.json [MASTER]
// ROOT is where buildah has mounted the image, IMAGE.json its configuration. Run by build.sh, as root.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { CHAIN, type ChainStep } from '#shared/contracts/stages.ts'
import { DEFAULT_ROUTE, ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { configEnv } from '#shared/frame/config.ts'
import type { Config } from '#shared/frame/settings.ts'
import { connect } from '../client/client.ts'
import { followTrack } from '../client/track-result.ts'
import { anyPort } from '../local/port.ts'
import { startPostgres } from '../local/postgres/postgres.ts'
import { coresOf } from '../local/process-usage.ts'
import { startPubsubServer } from '../local/pubsub/server.ts'
import { clubTrack, writeFlac } from '../local/synth.ts'

/** The last of the chain is started first. */
const SERVICES = CHAIN.toReversed()
/** The user id of the image and of the manifests. */
const USER = 10_001
/** The paths in the image of the data folder, and of the database's socket. */
const DATA = '/mnt'
const DATABASE = '/srv'
const GOAL_MS = 3000
const PATIENCE_MS = 120_000

/** Runs a program in the image: read-only except for the data, and without privileges. */
const CONFINED = `
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1${DATA}"
mount --bind "$3" "$1${DATABASE}"
root=$1
shift 3
exec setpriv --no-new-privs chroot --userspec=${USER}:${USER} --groups=${USER} "$root" \
  env --chdir=/app /usr/local/bin/node "$@"
`

const [root, image, given] = process.argv.slice(2)
if (root === undefined || image === undefined) {
  console.error('usage: node tools/image/try.ts ROOT IMAGE.json [MASTER]')
  process.exit(2)
}
const imageEnv: Record<string, string> = {}
const folder = await mkdtemp(join(tmpdir(), 'trackchain-image-'))
const data = join(folder, 'data')
for (const path of [
  data,
  ...['assets', 'scratch', 'uploads'].map((name) => join(data, name)),
]) {
  await mkdir(path)
  await chown(path, USER, USER)
}
await chmod(folder, 0o755)

await describe(image)
const postgres = await startPostgres({
  dataDir: join(folder, 'database'),
  settings: { unix_socket_permissions: '0777' },
})
const sockets = new URL(postgres.dsn).searchParams.get('host') as string
await chmod(sockets, 0o711)
confined()
const pubsub = await startPubsubServer({
  port: 0,
  host: '127.0.0.1',
  file: join(folder, 'pubsub.sqlite'),
  onFatal: (error) => {
    throw error
  },
})
const settings: Partial<Config> = {
  pubsub: `127.0.0.1:${pubsub.port}`,
  database: postgres.dsn.replace(encodeURIComponent(sockets), encodeURIComponent(DATABASE)),
  assets: `file://${DATA}/assets/`,
  scratch: `file://${DATA}/scratch/`,
  uploads: `file://${DATA}/uploads/`,
}
const bus = pubsubBus({ projectId: 'trackchain-local', endpoint: `127.0.0.1:${pubsub.port}` })
const running: Started[] = []
try {
  await bus.ensure(topology([DEFAULT_ROUTE], ONE_MACHINE))
  for (const name of SERVICES) {
    const service = await start(name)
    const { code, ms } = await stop(service)
    const { readyMs, coreMs } = service
    const isGood = readyMs < GOAL_MS
    console.log(
      `${name.padEnd(8)} ready after ${readyMs} ms (goal: ${GOAL_MS}${isGood ? '' : ', MISSED'}), of a core ${coreMs} ms; gone ${ms} ms after SIGTERM with ${code}`,
    )
    if (code !== 0) throw new Error(`${name} ended with ${code}`)
  }
  for (const name of SERVICES) running.push(await start(name))
  await oneTrack(running.find(({ name }) => name === 'ingest')?.port as number)
  await preflight()
  for (const { name, child } of running) {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
    const [, kib] = /VmHWM:\s+(\d+)/.exec(status) ?? []
    console.log(`${name.padEnd(8)} ${Math.round(Number(kib) / 1024)} MiB at most`)
  }
} finally {
  await Promise.all(running.map(stop))
  await bus.close()
  await pubsub.close()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}

interface Started {
  readonly name: string
  readonly child: ChildProcess
  readonly port: number
  readonly readyMs: number
  /** Core time of the start, ms; it does not depend on the load of the machine. */
  readonly coreMs: number
}

/** Starts a service, and waits until it reports that it is ready. */
async function start(name: ChainStep): Promise<Started> {
  const port = await anyPort()
  const started = performance.now()
  const child = spawn('unshare', confinedArgs([`services/${name}/main.ts`]), {
    env: envWith({ port, health_port: port }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log = createWriteStream(join(dirname(image as string), `${name}.log`), { flags: 'a' })
  child.stdout?.pipe(log)
  child.stderr?.pipe(log)
  while (!(await isReady(port))) {
    if (child.exitCode !== null || performance.now() - started > PATIENCE_MS) {
      child.kill('SIGKILL')
      throw new Error(`${name} is not ready (${child.exitCode}): see ${log.path}`)
    }
    await sleep(10)
  }
  const readyMs = Math.round(performance.now() - started)
  const { [name]: coreMs = 0 } = await coresOf({ [name]: child.pid as number })
  return { name, child, port, readyMs, coreMs }
}

function envWith(own: Partial<Config>): NodeJS.ProcessEnv {
  return {
    ...configEnv({ ...settings, ...own }),
    METADATA_SERVER_DETECTION: 'none',
    PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    ...imageEnv,
  }
}

async function isReady(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
  await response?.arrayBuffer()
  return response?.ok === true
}

async function stop({ child }: Started): Promise<{ code: number | null; ms: number }> {
  const asked = performance.now()
  if (child.exitCode === null) {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  return { code: child.exitCode, ms: Math.round(performance.now() - asked) }
}

/** Sends one track through all five services, by HTTP. */
async function oneTrack(port: number): Promise<void> {
  const signal = AbortSignal.timeout(10 * PATIENCE_MS)
  const client = connect(`http://127.0.0.1:${port}`, signal)
  const path = given ?? join(folder, 'club-track.flac')
  if (given === undefined) await writeFlac(clubTrack(), path, signal)
  const started = performance.now()
  await client.upload('track', path)
  const request = await client.submit({ asset_guid: 'track' })
  const master = { path, guid: 'track' }
  const { state, files } = await followTrack(client, master, request, () => {})
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${path}: ${state} after ${seconds} s, ${files.length} files`)
  for (const { name } of files) console.log(`  ${name}`)
  if (state !== 'done') throw new Error(`the track is ${state}`)
}

/** Runs the preflight check as docs/tasks/preflight.md runs it in a pod. @throws when it finds a fault. */
async function preflight(): Promise<void> {
  console.log('\npreflight of encode:')
  const command = ['tools/cli/cli.ts', 'preflight', '--for', 'encode']
  const options = { env: envWith({}), stdio: 'inherit' } as const
  const [code] = await once(spawn('unshare', confinedArgs(command), options), 'exit')
  if (code !== 0) throw new Error(`preflight ended with ${code}`)
}

/** Reads the image's configuration: keeps its environment for the services, prints its layers. */
async function describe(path: string): Promise<void> {
  const { OCIv1, Manifest } = JSON.parse(await readFile(path, 'utf8'))
  const { layers } = JSON.parse(Manifest) as { layers: { size: number }[] }
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  console.log(`layers, as stored: ${layers.map(({ size }) => mib(size)).join(', ')}`)
  const pairs = (OCIv1.config.Env as string[]).map((pair) => pair.split('=', 2))
  Object.assign(imageEnv, Object.fromEntries(pairs))
}

/** Throws unless a process in the image is unprivileged and can write nothing. */
function confined(): void {
  const look = `
    const { writeFileSync } = require('node:fs')
    const could = ['/app/x', '/tmp/x', '/x'].filter((path) => {
      try { writeFileSync(path, ''); return true } catch { return false }
    })
    console.log(JSON.stringify({ uid: process.getuid(), could, version: process.version }))`
  const { stdout, stderr } = spawnSync('unshare', confinedArgs(['-e', look]), {
    encoding: 'utf8',
  })
  const { uid, could, version } = JSON.parse(stdout || JSON.stringify({ could: [stderr] }))
  if (uid !== USER || could.length > 0) throw new Error(`not confined: ${uid}, ${could}`)
  console.log(`Node ${version} as ${uid}, and can write nothing`)
}

function confinedArgs(args: readonly string[]): string[] {
  return ['--mount', 'sh', '-c', CONFINED, 'sh', root as string, data, sockets, ...args]
}
