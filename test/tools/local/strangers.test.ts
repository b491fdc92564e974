import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import t, { type Test } from 'tap'
import { PROJECT } from '../../../tools/local/chain-settings.ts'
import { startChain } from '../../../tools/local/supervisor.ts'
import { wav } from '../../support/audio.ts'
import { noChromium } from '../../support/chromium.ts'
import { until } from '../../support/patience.ts'
import { listeners } from '../../support/processes/listeners.ts'
import { sine } from '../../support/synth.ts'
import { waitingOf } from '../../support/waiting.ts'
import { attack } from './attack.ts'

const skip = noChromium(t)

/** The tests share a chain, in a folder as an earlier release left it, with the usual umask. */
const folder = await mkdtemp(join(tmpdir(), 'trackchain-strangers-'))
chmodSync(folder, 0o755)
const data = join(folder, 'data')
const umask = process.umask(0o022)
mkdirSync(join(data, 'uploads', 'a'), { recursive: true })
writeFileSync(join(data, 'uploads', 'a', 'old.upload'), 'secret')
mkdirSync(join(data, 'logs'))
writeFileSync(join(data, 'logs', 'trackchain.log'), 'secret')
writeFileSync(join(data, 'processes.json'), '[]')
const chain = await startChain({
  ...{ dataFolder: data, port: 0, pubsubPort: 0, onNotice: (said) => t.comment(said) },
})
t.teardown(async () => {
  process.umask(umask)
  await chain.close()
  await rm(folder, { recursive: true, force: true })
})

t.test('other users of the machine can read nothing of a chain', async (t) => {
  const put = await fetch(`${chain.url}/v1/masters/a`, { method: 'PUT', body: 'RIFF' })
  t.equal(put.status, 201)
  await fetch(`${chain.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"asset_guid":"a"}',
  })
  await idle()
  const open = modesBelow(data).filter(([, mode]) => (mode & 0o066) !== 0)
  const inside = ['uploads', 'logs'].map((name) => join(data, name))
  // Older files are in folders that no other user may enter.
  const seen = open.filter(([path]) => !inside.some((each) => path.startsWith(`${each}/`)))
  t.same(seen, [])
  for (const path of inside) t.equal(lstatSync(path).mode & 0o077, 0, path)
  if (process.getuid?.() === 0) {
    const nobody = { uid: 65_534, gid: 65_534 }
    for (const name of ['pubsub.sqlite', 'logs/trackchain.log', 'owner.json', 'uploads', '.']) {
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
    ...Object.values(chain.pids()).flatMap((pid) => ['-p', `${pid}`]),
  ])
  t.notMatch(
    args.toString(),
    /postgres(?:ql)?:\/\//,
    'nor on the command lines of its processes',
  )
})

t.test(
  'a page of another origin, and one by a rebound name, reach no port',
  { skip },
  async (t) => {
    await settled()
    const before = await kept()
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

    const pids = [process.pid, ...Object.values(chain.pids())]
    const all = await listeners(pids)
    const ports = [
      ...new Set(all.map((address) => Number.parseInt(address.split(':')[1] ?? '', 16))),
    ]
    // The other ports have the same kind of small server each: one of the names, and its own paths, are enough there.
    const open = [chain.url, `http://${chain.pubsub}`].map((url) => Number(new URL(url).port))
    const ours = ports.filter((port) => port !== naive.port)
    t.ok(ours.length >= 6, `the API, Pub/Sub and four health ports: ${ours.join(', ')}`)

    // The attempts of the page do harm to a server without protection.
    const harmed = await attack(browser, naive.port, ['127.0.0.1'], 'health')
    for (const by of ['elsewhere', 'rebound'])
      t.ok(
        naive.seen.some((seen) => seen.startsWith(`${by} POST`)),
        `a server that minds nothing gets a POST of a page ${by}`,
      )
    t.ok(
      harmed.some(({ what }) => what.includes('SECRET')),
      'and is read by the page whose name was rebound',
    )

    await Promise.all(
      ours.map(async (port) => {
        const got = await attack(
          browser,
          port,
          ['127.0.0.1'],
          open.includes(port) ? 'all' : 'health',
        )
        // By its other name some of it is enough, too.
        if (open.includes(port))
          got.push(...(await attack(browser, port, ['localhost'], 'health')))
        t.same(got, [], `nothing can be read of port ${port}`)
      }),
    )
    await idle()
    t.same(await kept(), before, 'and nothing has been changed')
  },
)

/** All state that a page could change. */
async function kept(): Promise<unknown> {
  const ask = async (url: string): Promise<unknown> => (await fetch(url)).json()
  const ofPubsub = `http://${chain.pubsub}/v1/projects/${PROJECT}`
  const log = (await readFile(chain.folder.log, 'utf8')).split('\n')
  return {
    track: await ask(`${chain.url}/v1/tracks/track`),
    tracks: await ask(`${chain.url}/v1/tracks`),
    letters: await ask(`${chain.url}/v1/dead-letters`),
    topics: await ask(`${ofPubsub}/topics`),
    subscriptions: await ask(`${ofPubsub}/subscriptions`),
    // `published` has no consumer here: all announcements so far.
    waiting: await waitingOf(chain.folder.queue),
    deliveries: log.filter((line) => line.includes('"settlement"')).length,
    pids: chain.pids(),
  }
}

/** Waits until a track is made and all is idle. */
async function settled(): Promise<void> {
  await writeFile(
    join(chain.folder.masters, 'track.wav'),
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
  await idle()
}

/** Waits until every message is acknowledged. `published` has no consumer here. */
async function idle(): Promise<void> {
  await until(async () => {
    const { published: _, ...others } = await waitingOf(chain.folder.queue)
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
