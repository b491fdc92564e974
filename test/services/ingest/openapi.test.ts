import t from 'tap'
import { createCampaign } from '#shared/catalogue/campaigns/create-campaign.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { keepLetter } from '#shared/catalogue/letters/keep-letter.ts'
import { EXAMPLE_RELEASE_ID, EXAMPLE_REQUEST_ID } from '#shared/contracts/api/parameters.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { Published } from '#shared/contracts/messages/published.ts'
import { assetName, jobId, type Revision } from '#shared/contracts/names.ts'
import { newEvent } from '#shared/frame/events.ts'
import { EXAMPLE_LETTER_ID } from '../../../services/ingest/dead-letters/schema.ts'
import { startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

interface Parameter {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly required?: boolean
  readonly example?: unknown
  readonly schema: { readonly examples?: readonly unknown[]; readonly example?: unknown }
}
interface Media {
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
  readonly schema?: { readonly examples?: readonly unknown[] }
}
interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Record<string, Media> }
  readonly responses: Record<
    string,
    {
      readonly description: string
      readonly content?: Record<string, { readonly schema: { readonly $ref?: string } }>
    }
  >
}
interface OpenApi {
  readonly openapi: string
  readonly servers: readonly { readonly url: string }[]
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, object> }
}

const document = (await (await fetch(`${api.url}/openapi.json`)).json()) as OpenApi

t.test('the document describes every address that there is for people', async (t) => {
  t.match(document.openapi, /^3\.1/)
  t.strictSame(Object.keys(document.paths).sort(), [
    ...[
      '/healthz',
      '/metrics',
      '/readyz',
      '/v1/board',
      '/v1/campaigns',
      '/v1/campaigns/{id}',
      '/v1/campaigns/{id}/cancel',
      '/v1/campaigns/{id}/forecast',
      '/v1/campaigns/{id}/pause',
      '/v1/campaigns/{id}/refused',
      '/v1/campaigns/{id}/resume',
      '/v1/campaigns/{id}/start',
      '/v1/cancellations',
      '/v1/costs',
      '/v1/dead-letters',
      '/v1/dead-letters/redrive',
      '/v1/dead-letters/{id}',
      '/v1/dead-letters/{id}/discard',
      '/v1/derivatives',
      '/v1/errors',
      '/v1/errors/{code}',
    ],
    ...['/v1/jobs', '/v1/jobs/{request_id}', '/v1/jobs/{request_id}/cancel'],
    ...['/v1/kpis', '/v1/live'],
    ...['/v1/masters/{asset_guid}'],
    ...['/v1/releases', '/v1/releases/{release_id}', '/v1/releases/{release_id}/cancel'],
    '/v1/schemas',
    ...[
      '/v1/schemas/{name}',
      '/v1/stale',
      '/v1/tracks',
      '/v1/tracks/{asset_guid}',
      '/v1/tracks/{asset_guid}/assets/{asset}',
      '/v1/tracks/{asset_guid}/assets/{asset}/link',
    ],
    '/v1/tracks/{asset_guid}/history',
  ])
  t.strictSame(Object.keys(document.paths['/v1/masters/{asset_guid}'] ?? {}).sort(), [
    ...['head', 'post', 'put'],
  ])
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, { summary, responses }] of Object.entries(operations)) {
      t.ok(summary, `${method} ${path} has a summary`)
      t.notOk(
        Object.values(responses).some(({ description }) => description === 'Default Response'),
        `the answers of ${method} ${path} are described`,
      )
    }
  }
})

t.test('clients can be generated from it', async (t) => {
  t.strictSame(document.servers, [{ url: '/' }])
  const operations = Object.values(document.paths).flatMap((each) => Object.values(each))
  const ids = operations.map(({ operationId }) => operationId)
  t.ok(
    ids.every((id) => /^[a-z]+[A-Za-z]+$/.test(id ?? '')),
    ids.join(),
  )
  t.equal(new Set(ids).size, ids.length, 'no two operations have one name')
  for (const { operationId, responses } of operations) {
    for (const [status, { content = {} }] of Object.entries(responses)) {
      for (const [type, { schema }] of Object.entries(content)) {
        if (!/json$|^text\/event-stream$/.test(type) || type === 'application/schema+json')
          continue
        const isNamed = schema.$ref !== undefined || 'anyOf' in schema
        t.ok(isNamed, `${operationId} ${status} ${type} is a component`)
      }
    }
  }
  for (const name of ['AcceptedLine', 'RefusedLine', 'BoardEvent', 'TrackEvent'])
    t.ok(document.components.schemas[name], name)
  const refs = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)]
  for (const [, name = ''] of refs) t.ok(document.components.schemas[name], name)
  const { parameters = [] } = document.paths['/v1/tracks']?.get ?? {}
  const bpm = parameters.find(({ name }) => name === 'bpm_from')
  t.match(bpm?.schema, { type: 'number' }, 'a number is described as one')
})

t.test('its examples work as they stand', async (t) => {
  const jobs = document.paths['/v1/jobs']?.post?.requestBody?.content ?? {}
  for (const [type, media] of Object.entries(jobs)) {
    if (type === 'multipart/form-data') continue
    const example = exampleOf(media)
    t.ok(example, `${type} has an example`)
    const body = typeof example === 'string' ? example : JSON.stringify(example)
    const headers = { 'content-type': type }
    const response = await fetch(`${api.url}/v1/jobs`, { method: 'POST', headers, body })
    t.ok(response.ok, type)
    t.match(await response.text(), /"status":202/)
  }
  await ranExampleTrack()
  for (const [path, operations] of Object.entries(document.paths)) {
    const operation = operations.get
    if (operation === undefined) continue
    const url = path.replace(/\{(\w+)\}/g, (_, name) => {
      const parameter = operation.parameters?.find((each) => each.name === name)
      return String(
        parameter?.example ?? parameter?.schema.examples?.[0] ?? parameter?.schema.example,
      )
    })
    const response = await until(url, async () => {
      const answer = await fetch(`${api.url}${url}`)
      return answer.status === 404 ? undefined : answer
    })
    t.equal(response.status, 200, url)
  }
})

t.test('what an operator posts by its examples works as well', async (t) => {
  const post = async (path: string) => {
    const content = document.paths[path]?.post?.requestBody?.content['application/json'] ?? {}
    const several = Object.values(content.examples ?? {}).map(({ value }) => value)
    const answers: unknown[] = []
    for (const example of several.length > 0 ? several : [exampleOf(content)]) {
      const at = path
        .replace('{id}', EXAMPLE_LETTER_ID)
        .replace('{request_id}', EXAMPLE_REQUEST_ID)
        .replace('{release_id}', `${EXAMPLE_RELEASE_ID}`)
      const response = await fetch(api.url + at, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(example),
      })
      answers.push(await response.json())
    }
    return answers
  }
  t.match(await post('/v1/dead-letters/redrive'), [
    { dry_run: true, results: [{ id: EXAMPLE_LETTER_ID, status: 'redrivable' }] },
    { redriven: 1, results: [{ id: EXAMPLE_LETTER_ID, status: 'redriven', run: 2 }] },
  ])
  t.match(await post('/v1/dead-letters/{id}/discard'), [{ code: 'LETTER_TAKEN' }])
  t.match(await post('/v1/jobs/{request_id}/cancel'), [{ ended: 1 }, { ended: 0 }])
  t.match(await post('/v1/releases/{release_id}/cancel'), [{ ended: 1, left: false }])
  t.match(await post('/v1/campaigns'), [{ state: 'enumerating' }])
})

t.test('a form in the document is one that a page can send', async (t) => {
  const content = document.paths['/v1/jobs']?.post?.requestBody?.content ?? {}
  t.match(content['multipart/form-data'], {
    schema: {
      properties: { file: { type: 'string', format: 'binary' }, job: { type: 'string' } },
    },
  })
  t.match(document.paths['/v1/masters/{asset_guid}']?.put?.requestBody?.content, {
    'application/octet-stream': { schema: { format: 'binary' } },
  })
})

t.test('the page loads what it needs from here alone', async (t) => {
  const response = await fetch(`${api.url}/docs`)
  t.equal(response.status, 200)
  const policy = response.headers.get('content-security-policy') ?? ''
  t.match(policy, /default-src 'none'; script-src 'self';/)
  t.notMatch(policy, /https?:|upgrade-insecure/)
  const page = await response.text()
  const links = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link as string)
  t.ok(links.length >= 4)
  for (const link of links) {
    t.notMatch(link, /^(?:https?:)?\/\//)
    const file = await fetch(new URL(link, `${api.url}/docs`))
    t.equal(file.status, 200, link)
    await file.arrayBuffer()
  }
  t.notMatch(page, /<script>|onclick/, 'no inline script, which the policy would stop')
  const script = await (await fetch(`${api.url}/docs/static/swagger-initializer.js`)).text()
  t.notMatch(script, /https?:\/\/(?!stackoverflow)/)
  t.match(script, /"?validatorUrl"?: null/)
  t.equal((await fetch(`${api.url}/docs/json`)).status, 200)
})

t.test('the schemas are those that messages are checked by', async (t) => {
  const list = (await (await fetch(`${api.url}/v1/schemas`)).json()) as {
    schemas: readonly { name: string; href: string }[]
  }
  t.strictSame(
    list.schemas.map(({ name }) => name),
    ['encode-job', 'published', 'callback', 'run-accepted', 'step-due', 'run-ended', 'events'],
  )
  for (const { href } of list.schemas) {
    const response = await fetch(`${api.url}${href}`)
    t.match(response.headers.get('content-type'), /^application\/schema\+json/)
    t.match(await response.json(), { type: 'object', $schema: /2020-12/ })
  }
  const schema = (name: string) =>
    fetch(`${api.url}/v1/schemas/${name}`).then((it) => it.json())
  t.match(await schema('encode-job'), JSON.parse(JSON.stringify(EncodeJob.schema)))
  t.match(await schema('published'), JSON.parse(JSON.stringify(Published.schema)))
})

t.test('each available asset is listed with its version, files and cost', async (t) => {
  const body = (await (await fetch(`${api.url}/v1/derivatives`)).json()) as {
    derivatives: readonly object[]
  }
  t.match(
    body.derivatives.find((each) => 'id' in each && each.id === 'waveform'),
    {
      ...{ version: Number, title: String, stage: 'encode', splittable: true },
      files: { json: 'application/json', png: 'image/png' },
      cost: { fixed_ms: Number, ms_per_second: Number },
    },
  )
})

t.test('each code is explained at the address that problems name', async (t) => {
  const problem = (await (await fetch(`${api.url}/nowhere`)).json()) as { type: string }
  const response = await fetch(`${api.url}${problem.type}`)
  t.match(await response.json(), {
    code: 'NOT_FOUND',
    status: 404,
    means: String,
    remedy: String,
  })
})

t.test('the front page says where everything is', async (t) => {
  const links = (await (await fetch(api.url)).json()) as Record<string, string>
  for (const [name, path] of Object.entries(links)) {
    if (name === 'name' || name === 'jobs') continue
    t.equal((await fetch(`${api.url}${path}`)).status, 200, path)
  }
})

function exampleOf({ example, schema }: Media): unknown {
  return example ?? schema?.examples?.[0]
}

/** Records the example job as completed. */
async function ranExampleTrack(): Promise<void> {
  const content = document.paths['/v1/jobs']?.post?.requestBody?.content
  const job = EncodeJob.check(exampleOf(content?.['application/json'] ?? {}))
  const { request_id = '', asset_guid = '' } = job
  const revision = 'xexample' as Revision
  await recordRuns(api.database, [
    {
      request: { request_id, asset_guid, derivative_assets: ['waveform'] },
      ...{ job: jobId(request_id, asset_guid), run: 1, route: 'cloud', restarts: 0 },
      accepted: new Date().toISOString(),
      master: { uri: 'file:///mnt/masters/x.wav', revision, samples: 44_100, layout: 'WAV' },
      verdicts: { waveform: { state: 'made', version: 1, files: { json: 2, png: 3 } } },
    },
  ])
  const other = { request_id: 'another', asset_guid, release_id: EXAMPLE_RELEASE_ID }
  await acceptJobs(api.database, [
    {
      request: { ...other, derivative_assets: ['bpm'] },
      ...{ job: jobId('another', asset_guid), run: 1, route: 'cloud' },
      accepted: new Date().toISOString(),
    },
  ])
  await createCampaign(api.database, {
    ...{ id: 'campaign-0mbwd2k5h0q3x', tenant: 'default', name: 'an example', by: 'x' },
    ...{ source: { kind: 'question', stale: ['bpm'] }, assets: ['bpm'], starts: false },
    ...{ weight: 1, rate: null },
  })
  await keepLetter(api.database, {
    ...{ id: EXAMPLE_LETTER_ID, message: '1', published: new Date(), attributes: {} },
    ...{ step: 'stage', code: 'MASTER_NOT_FOUND', reason: 'not there', attempt: 1 },
    body: Buffer.from('{}'),
    job: {
      ...{ id: jobId(request_id, asset_guid), run: 1 },
      request: { request_id, asset_guid, derivative_assets: ['bpm'] },
    },
  })
  for (const [extension, body] of Object.entries({ json: '{}', png: 'png' })) {
    const name = assetName(asset_guid, revision, { id: 'waveform', version: 1 }, extension)
    await api.assets.create(name, Buffer.from(body), { contentType: 'x/y' })
  }
  const event = {
    ...newEvent('stage', 1),
    verdict: 'done',
    track: asset_guid,
    units: [],
    ms: 1,
  }
  await recordEvents(api.database, [event])
}
