import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Test } from 'tap'
import { PROJECT } from '../../../tools/local/chain-settings.ts'
import { wav } from '../../support/audio.ts'
import { until } from '../../support/patience.ts'
import { listeners } from '../../support/processes/listeners.ts'
import { sine } from '../../support/synth.ts'
import { waitingOf } from '../../support/waiting.ts'
import { fromElsewhere, fromRebound } from './attack.ts'

/** A chain as strangers see it. */
interface Target {
  /** URL of the HTTP API. */
  readonly url: string
  /** Host and port of the Pub/Sub server. */
  readonly pubsub: string
  /** Its data folder, with the file `uploads/a/old.upload` of an earlier release. */
  readonly data: string
  /** Its processes. */
  readonly pids: readonly number[]
}

/** Other users of the machine can read nothing of a chain, whatever the umask is that it was started with. */
export async function readNothing(t: Test, chain: Target): Promise<void> {
  const { data } = chain
  const put = await fetch(`${chain.url}/v1/masters/a`, { method: 'PUT', body: 'RIFF' })
  t.equal(put.status, 201)
  await fetch(`${chain.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"asset_guid":"a"}',
  })
  await idle(chain)
  const open = modesBelow(data).filter(([, mode]) => (mode & 0o066) !== 0)
  const inside = ['uploads', 'logs', 'masters'].map((name) => join(data, name))
  // Files of an earlier release, and masters that somebody puts there, are in folders that no other user may enter.
  const seen = open.filter(([path]) => !inside.some((each) => path.startsWith(`${each}/`)))
  t.same(seen, [])
  for (const path of inside) t.equal(lstatSync(path).mode & 0o077, 0, path)
  if (process.getuid?.() === 0) {
    const nobody = { uid: 65_534, gid: 65_534 }
    for (const name of [
      'link-keys.json',
      'pubsub.sqlite',
      'logs/trackchain.log',
      'owner.json',
      'uploads',
      '.',
    ]) {
      const { status } = spawnSync('ls', ['-l', join(data, name)], nobody)
      const read = spawnSync('cat', [join(data, name)], nobody)
      t.not(read.status, 0, name)
      if (['uploads/a', '.'].includes(name)) t.not(status, 0, name)
    }
  }
  const args = execFileSync('ps', [
    '-ww',
    '-o',
    'args=',
    ...chain.pids.flatMap((pid) => ['-p', `${pid}`]),
  ])
  t.notMatch(
    args.toString(),
    /postgres(?:ql)?:\/\//,
    'nor on the command lines of its processes',
  )
}

/** A page of another origin, and one by a rebound name, reach no port of a chain. */
export async function reachNothing(t: Test, chain: Target): Promise<void> {
  await settled(chain)
  const before = await kept(chain)
  const naive = await naiveServer(t)
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--host-resolver-rules=MAP *.test 127.0.0.1',
      // The browser asks a person before a page may reach this machine. The question is off, so that the page does.
      '--disable-features=LocalNetworkAccessChecks,PrivateNetworkAccessChecks',
    ],
  })
  t.teardown(() => browser.close())

  const all = await listeners([process.pid, ...chain.pids])
  const ports = [
    ...new Set(all.map((address) => Number.parseInt(address.split(':')[1] ?? '', 16))),
  ]
  // The other ports have the same kind of small server each: one of the names, and its own paths, are enough there.
  const open = [chain.url, `http://${chain.pubsub}`].map((url) => Number(new URL(url).port))
  const ours = ports.filter((port) => port !== naive.port)
  t.ok(ours.length >= 6, `the API, Pub/Sub and four health ports: ${ours.join(', ')}`)

  // The attempts of the page do harm to a server without protection.
  const harmed = [
    ...(await fromElsewhere(browser, [targetOf('127.0.0.1', naive.port, 'health')])),
    ...(await fromRebound(browser, naive.port, 'health')),
  ]
  for (const by of ['elsewhere', 'rebound'])
    t.ok(
      naive.seen.some((seen) => seen.startsWith(`${by} POST`)),
      `a server that minds nothing gets a POST of a page ${by}`,
    )
  t.ok(
    harmed.some(({ what }) => what.includes('SECRET')),
    'and is read by the page whose name was rebound',
  )

  const reachOf = (port: number) => (open.includes(port) ? 'all' : 'health')
  const got = await Promise.all([
    fromElsewhere(browser, [
      ...ours.map((port) => targetOf('127.0.0.1', port, reachOf(port))),
      // By their other name some of it is enough, too.
      ...open.map((port) => targetOf('localhost', port, 'health')),
    ]),
    ...ours.map((port) => fromRebound(browser, port, reachOf(port))),
  ])
  for (const port of ours)
    t.same(
      got.flat().filter(({ path }) => Number(new URL(path).port) === port),
      [],
      `nothing can be read of port ${port}`,
    )
  await idle(chain)
  t.same(await kept(chain), before, 'and nothing has been changed')
}

function targetOf(host: string, port: number, reach: 'all' | 'health') {
  return { url: `http://${host}:${port}`, reach }
}

/** All state that a page could change. */
async function kept(chain: Target): Promise<unknown> {
  const ask = async (url: string): Promise<unknown> => (await fetch(url)).json()
  const ofPubsub = `http://${chain.pubsub}/v1/projects/${PROJECT}`
  const log = (await readFile(join(chain.data, 'logs', 'trackchain.log'), 'utf8')).split('\n')
  return {
    track: await ask(`${chain.url}/v1/tracks/track`),
    tracks: await ask(`${chain.url}/v1/tracks`),
    letters: await ask(`${chain.url}/v1/dead-letters`),
    topics: await ask(`${ofPubsub}/topics`),
    subscriptions: await ask(`${ofPubsub}/subscriptions`),
    // `published` has no consumer here: all announcements so far.
    waiting: await waitingOf(join(chain.data, 'pubsub.sqlite')),
    deliveries: log.filter((line) => line.includes('"settlement"')).length,
    pids: JSON.parse(await readFile(join(chain.data, 'processes.json'), 'utf8')),
  }
}

/** Waits until a track is made and all is idle. */
async function settled(chain: Target): Promise<void> {
  await writeFile(
    join(chain.data, 'masters', 'track.wav'),
    wav([sine(220_500, 440), sine(220_500, 440)]),
  )
  const posted = await fetch(`${chain.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ asset_guid: 'track', derivative_assets: ['waveform'] }),
  })
  const { request_id } = (await posted.json()) as { request_id: string }
  await until(async () => {
    const asked = await fetch(`${chain.url}/v1/jobs/${request_id}`)
    return ((await asked.json()) as { state: string }).state === 'done'
  })
  // Events are recorded a moment later.
  await idle(chain)
}

/** Waits until every message is acknowledged. `published` has no consumer here. */
async function idle(chain: Target): Promise<void> {
  await until(async () => {
    const { published: _, ...others } = await waitingOf(join(chain.data, 'pubsub.sqlite'))
    return Object.keys(others).length === 0
  })
}

/** Every path below a folder, itself included, with its mode. Links are not followed. */
function modesBelow(path: string): [string, number][] {
  const found = lstatSync(path)
  const own: [string, number][] = [[path, found.mode]]
  if (!found.isDirectory()) return found.isSymbolicLink() ? [] : own
  return [...own, ...readdirSync(path).flatMap((name) => modesBelow(join(path, name)))]
}

/** A server without any protection. */
async function naiveServer(t: Test) {
  const seen: string[] = []
  const server = createServer((request, response) => {
    const { host = '', origin = '', referer = '' } = request.headers
    const isRebound = /rebound/.test(host)
    const isElsewhere = /elsewhere/.test(`${origin} ${referer}`)
    seen.push(`${isRebound ? 'rebound' : isElsewhere ? 'elsewhere' : '?'} ${request.method}`)
    request.resume()
    response.end('SECRET')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { seen, port: (server.address() as AddressInfo).port }
}
