import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { type Names, namesOf, refusal } from '#shared/frame/door.ts'
import { serveHealth } from '#shared/frame/lifecycle.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'

const NAMES = ['own', 'private', 'any'] as const

type Header = readonly [name: string, value: string]

function knock(method: string, ...headers: readonly Header[]) {
  const request = {
    method,
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    rawHeaders: headers.flat(),
  }
  return request as Pick<IncomingMessage, 'method' | 'headers' | 'rawHeaders'>
}

t.test('by which names a port may be asked', async (t) => {
  const own = ['localhost', '127.0.0.1:8000', '[::1]:80', 'a.localhost', '127.9.9.9']
  const near = ['10.0.0.7:8080', '[fd00::1]:80', 'stage', 'stage.prod.svc', 'nas.local']
  const far = [
    ...['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'svc.example', ''],
    ...['evil.test:80', 'localhost.', '127.0.0.1@evil.example', 'evil.svc.example'],
  ]
  const isTaken = (host: string, names: Names) =>
    refusal(knock('GET', ['Host', host]), { names }) === undefined
  for (const host of own)
    t.same(
      NAMES.map((names) => isTaken(host, names)),
      [true, true, true],
      host,
    )
  for (const host of near)
    t.same(
      NAMES.map((names) => isTaken(host, names)),
      [false, true, true],
      host,
    )
  for (const host of far)
    t.same(
      NAMES.map((names) => isTaken(host, names)),
      [false, false, true],
      host,
    )
  t.equal(namesOf('127.0.0.1'), 'own')
  t.equal(namesOf('0.0.0.0'), 'private')
})

t.test('two names are none', async (t) => {
  const twice = knock('GET', ['Host', 'localhost'], ['host', 'localhost'])
  t.match(refusal(twice, { names: 'any' }), { at: 'header host', sentence: /2 Host headers/ })
})

t.test('pages of other sites are kept out, but for links where these are wanted', async (t) => {
  const host = ['Host', '127.0.0.1:8000'] as const
  const link: Header[] = [
    ['Sec-Fetch-Site', 'cross-site'],
    ['Sec-Fetch-Mode', 'navigate'],
    ['Sec-Fetch-Dest', 'document'],
  ]
  const cases: [string, Header[], 'in' | 'out' | 'link'][] = [
    ['POST', [], 'in'],
    ['POST', [['Origin', 'http://127.0.0.1:8000']], 'in'],
    ['GET', [['Sec-Fetch-Site', 'none']], 'in'],
    ['GET', [['Sec-Fetch-Site', 'same-origin']], 'in'],
    ['GET', link, 'link'],
    ['POST', link, 'out'],
    [
      'GET',
      [
        ['Sec-Fetch-Site', 'cross-site'],
        ['Sec-Fetch-Mode', 'no-cors'],
      ],
      'out',
    ],
    ['GET', [...link.slice(0, 2), ['Sec-Fetch-Dest', 'iframe']], 'out'],
    ['GET', [['Sec-Fetch-Site', 'same-site']], 'out'],
    ['GET', [['Origin', 'https://evil.example']], 'out'],
    ['POST', [['Origin', 'null']], 'out'],
    ['POST', [['Origin', 'http://127.0.0.1:8001']], 'out'],
  ]
  for (const [method, headers, expected] of cases) {
    const knocked = knock(method, host, ...headers)
    const said = `${method} ${headers.flat().join(' ')}`
    t.equal(refusal(knocked, { names: 'own' }) === undefined, expected === 'in', said)
    const linked = refusal(knocked, { names: 'own', mayLink: true })
    t.equal(linked === undefined, expected !== 'out', said)
  }
})

t.test('health and metrics are no page of any other site', async (t) => {
  const closing: (() => Promise<unknown>)[] = []
  const port = await serveHealth(
    { host: '127.0.0.1', port: 0 },
    createMetrics('door'),
    () => undefined,
    {
      stopping: new AbortController().signal,
      aborting: new AbortController().signal,
      onClose: (_, close) => closing.push(close),
      exitWith: () => {},
      leave: () => {},
    },
  )
  t.teardown(() => Promise.all(closing.map((close) => close())))
  const status = async (method: string, path: string, ...headers: Header[]) => {
    const socket = connect(port, '127.0.0.1')
    const lines = [['host', `127.0.0.1:${port}`] as Header, ...headers, ['connection', 'close']]
    socket.write(`${method} ${path} HTTP/1.1\r\n`)
    const named = lines.findLast(([name]) => name === 'host') as Header
    for (const [name, value] of [named, ...lines.filter(([each]) => each !== 'host')])
      socket.write(`${name}: ${value}\r\n`)
    socket.write('\r\n')
    return Number((await text(socket)).split(' ')[1])
  }
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    t.equal(await status('GET', path), 200, path)
    t.equal(await status('GET', path, ['host', 'evil.example']), 403, path)
    t.equal(await status('GET', path, ['origin', 'http://evil.example']), 403, path)
    t.equal(await status('GET', path, ['sec-fetch-site', 'cross-site']), 403, path)
    t.equal(await status('POST', path), 405, path)
  }
})

t.test("what Node's own server says of a request is enough", async (t) => {
  const said: (string | undefined)[] = []
  const server = createServer((request, response) => {
    said.push(refusal(request, { names: 'own' })?.at)
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await fetch(`http://127.0.0.1:${port}/`)
  await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers: { origin: 'http://x' } })
  server.closeAllConnections()
  server.close()
  t.same(said, [undefined, 'header origin'])
})
