import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import type { Outgoing } from '#shared/bus/bus.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import { eventSink } from '#shared/frame/events.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { openTracing, TRACEPARENT } from '#shared/frame/telemetry/trace.ts'
import { requestConflicts } from '../../services/ingest/jobs/conflicts.ts'
import { submissions } from '../../services/ingest/jobs/submit-job.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { scraped } from '../support/scraped.ts'
import { club } from '../support/synth.ts'

/** The machine may be crowded. */
const LONG = 150_000

interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: readonly {
    readonly key: string
    readonly value: { readonly stringValue?: string }
  }[]
}

interface Line {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[]
  }[]
}

/** The spans in a file, read as OTLP-JSON. */
async function spansIn(file: string): Promise<Span[]> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n')
  return lines
    .map((line): Line => JSON.parse(line))
    .flatMap(({ resourceSpans }) => resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
}

function trackOf({ attributes }: Span): string | undefined {
  return attributes.find(({ key }) => key === 'trackchain.track')?.value.stringValue
}

t.test('one track is one trace, from POST to published, redeliveries included', async (t) => {
  const around = await surroundings({ target_ms: 100 })
  t.teardown(() => around.close())
  const { database, config } = around
  const sent: { topic: string; attributes: Outgoing['attributes'] }[] = []
  const bus = {
    ...around.bus,
    publish(topic: string, message: Outgoing) {
      sent.push({ topic, attributes: message.attributes })
      return around.bus.publish(topic, message)
    },
  }
  const file = join(around.folder, 'spans.jsonl')
  const tracing = await openTracing('test', `file://${file}`)
  const metrics = createMetrics('test')
  let isKilled = false
  const consumers = await allConsumers({
    ...{ config, bus, database, tracing, metrics, log: createLog('traces', 'fatal') },
    async beforeAck(step) {
      if (step !== 'analyze' || isKilled) return
      isKilled = true
      throw new Error('no ack')
    },
  })
  const { submit } = submissions({
    settings: { ...config, registry: await loadRegistry(config.derivatives) },
    ...{ bus, metrics, tracing, events: eventSink(bus), recordJob: async () => {} },
    conflicts: requestConflicts(database, createLog('traces', 'fatal')),
    quotas: { holdBack: async () => false },
  })
  const client = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8) }
  for (const track of ['one', 'two']) {
    await around.master(track, wav(club(3 * 44_100)))
    const job = { asset_guid: track, derivative_assets: ['echo', 'pieces'] }
    const parent = track === 'one' ? `00-${client.traceId}-${client.spanId}-01` : undefined
    await submit(job, undefined, parent)
  }
  const analyzed = 'trackchain_step_duration_seconds_count{step="analyze",verdict="done"}'
  await until(async () => {
    const tracks = await Promise.all(['one', 'two'].map((track) => findTrack(database, track)))
    if (!tracks.every((track) => track?.assets.length === 2)) return false
    return ((await scraped(metrics)).get(analyzed) ?? 0) > 1
  }, LONG)
  await consumers.close()
  await tracing.close()

  const spans = await spansIn(file)
  for (const track of ['one', 'two']) {
    const own = spans.filter((span) => trackOf(span) === track)
    const ids = new Set(own.map(({ traceId }) => traceId))
    t.equal(ids.size, 1, `the trace of ${track}`)
    const [traceId = ''] = ids
    t.equal(traceId === client.traceId, track === 'one', "the client's, if it has one")
    const names = own.map(({ name }) => name)
    t.same([...new Set(names)].sort(), [
      'POST /v1/jobs',
      'analyze',
      'encode',
      'publish',
      'stage',
    ])
    t.ok(names.filter((name) => name === 'encode').length > 1, 'the parts are in it')
    const parents = new Set([...own.map(({ spanId }) => spanId), client.spanId])
    const strays = own.filter(({ parentSpanId = '' }) => !parents.has(parentSpanId))
    t.same(
      strays.map(({ name }) => name),
      track === 'one' ? [] : ['POST /v1/jobs'],
      'each has its cause in it',
    )
    const announcements = sent.filter(
      ({ topic, attributes }) =>
        topic === 'published' && attributes[TRACEPARENT]?.includes(traceId),
    )
    t.ok(announcements.length > 0, 'the announcement belongs to the trace')
  }
  const analyses = spans.filter(({ name }) => name === 'analyze')
  t.ok(analyses.length > 2, 'a redelivery is a span more')
})

t.test('what is not traced passes on what others trace, and nothing else', async (t) => {
  const untraced = await openTracing('test', '')
  const good = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-00`
  t.equal(untraced.begin('stage', 'message', good).traceparent, good)
  for (const bad of ['', 'x', `00-${'0'.repeat(32)}-${'cd'.repeat(8)}-01`, `${good}\n`])
    t.equal(untraced.begin('stage', 'message', bad).traceparent, undefined)
})

t.test(
  'a receiver of OTLP gets the spans over HTTP; one that fails harms no step',
  async (t) => {
    const bodies: Line[] = []
    let status = 200
    const receiver = createServer(async (request, response) => {
      t.equal(`${request.method} ${request.url}`, 'POST /v1/traces')
      t.equal(request.headers['content-type'], 'application/json')
      bodies.push((await json(request)) as Line)
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
    })
    receiver.listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    t.teardown(() => {
      receiver.closeAllConnections()
      receiver.close()
    })
    const { port } = receiver.address() as AddressInfo
    const send = async (name: string) => {
      const tracing = await openTracing('test', `http://127.0.0.1:${port}/v1/traces`)
      tracing.begin(name, 'message', undefined).end({ 'trackchain.track': 'one' })
      await tracing.close()
    }
    await send('analyze')
    const [span] = bodies.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    )
    t.equal(span?.name, 'analyze')
    t.equal(span && trackOf(span), 'one')
    status = 400
    await send('encode')
    t.equal(bodies.length, 2)
  },
)
