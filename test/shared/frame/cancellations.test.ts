import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { KEPT_DAYS } from '#shared/contracts/api/cancellation.ts'
import { jobId } from '#shared/contracts/names.ts'
import {
  type CancellableRun,
  Cancellations,
  followCancellations,
} from '#shared/frame/cancellations.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { until } from '../../support/patience.ts'

const now = Date.now()
const [early, moment, late] = [now - 1000, now, now + 1].map((ms) =>
  new Date(ms).toISOString(),
) as [string, string, string]
const REQUEST = 'A6A0F3A0-6F8E-4A63-8A3E-0E6F0D5C1B2A'

function run(accepted: string, request_id = REQUEST, asset_guid = 'a'): CancellableRun {
  const request = { request_id, asset_guid, derivative_assets: ['bpm'] }
  return { job: jobId(request_id, asset_guid), run: 1, route: 'cloud', accepted, request }
}
const ofRequest = { number: 1, kind: 'request', id: REQUEST.toLowerCase(), before: moment }
const ofJob = { number: 2, kind: 'job', id: jobId(REQUEST, 'a'), before: moment }

t.test('a run is cancelled when it was accepted at or before the moment', (t) => {
  for (const entry of [ofRequest, ofJob]) {
    const known = new Cancellations()
    t.notOk(known.isCancelled(run(early)))
    known.add([entry])
    t.ok(known.isCancelled(run(early)))
    t.ok(known.isCancelled(run(moment)))
    t.notOk(known.isCancelled(run(late)), 'what is asked for later is not')
    t.notOk(known.isCancelled(run(early, 'another')))
    t.equal(known.isCancelled(run(early, REQUEST, 'b')), entry === ofRequest)
  }
  t.end()
})

t.test('a run that names a release is cancelled with it', (t) => {
  const known = new Cancellations()
  known.add([{ number: 3, kind: 'release', id: '7', before: moment }])
  const naming = (release_id: number, accepted: string) => {
    const one = run(accepted)
    return { ...one, request: { ...one.request, release_id } }
  }
  t.ok(known.isCancelled(naming(7, moment)))
  t.notOk(known.isCancelled(naming(7, late)))
  t.notOk(known.isCancelled(naming(-7, moment)))
  t.notOk(known.isCancelled(run(moment)))
  t.end()
})

t.test('of several the latest counts, in whatever order they come', (t) => {
  const known = new Cancellations()
  known.add([
    { ...ofJob, before: late },
    ofJob,
    { ...ofJob, kind: 'of a later release', id: 'x' },
  ])
  t.ok(known.isCancelled(run(late)))
  known.forget(Date.parse(late) + KEPT_DAYS * 86_400_000)
  t.ok(known.isCancelled(run(late)))
  known.forget(Date.parse(late) + KEPT_DAYS * 86_400_000 + 1)
  t.notOk(known.isCancelled(run(late)), 'no message is that old')
  t.end()
})

t.test('a watched run hears of it once, and at once if it is known', (t) => {
  const known = new Cancellations()
  let calls = 0
  const note = () => void calls++
  known.whenCancelled(run(early), note)
  known.whenCancelled(run(late), note)
  known.whenCancelled(run(early), note)()
  known.add([{ ...ofJob, id: 'another' }])
  t.equal(calls, 0)
  known.add([ofJob])
  known.add([ofRequest])
  t.equal(calls, 1, 'not the later one, and not the one that is over')
  known.whenCancelled(run(early), note)
  t.equal(calls, 2)
  t.end()
})

t.test('ingest is asked on and on, from where it was', async (t) => {
  const asked: string[] = []
  const open: ServerResponse[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.headers.authorization} ${request.url}`)
    open.push(response)
  }).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = new AbortController()
  const known = new Cancellations()
  const log = createLog('cancellations', 'silent')
  const following = followCancellations(known, { url, token: 's', log, stopping: stop.signal })
  const answer = async (status: number, body: unknown) => {
    await until(() => open.length > 0)
    open.shift()?.writeHead(status).end(JSON.stringify(body))
  }
  await answer(200, { cancellations: [{ ...ofRequest, number: 7 }], last: 7 })
  await until(() => known.isCancelled(run(early)))
  await answer(503, { status: 503 })
  await answer(200, { cancellations: 'no list' })
  await answer(200, { cancellations: [], last: 3 })
  await until(() => asked.length === 5)
  const at = (after: number) => `Bearer s /v1/cancellations?after=${after}&wait=25`
  t.same(asked, [at(0), at(7), at(7), at(7), at(0)], 'from 0 when numbers began anew')
  t.ok(known.isCancelled(run(early)), 'what is known stays known')
  stop.abort()
  await following
})
