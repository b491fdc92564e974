import t from 'tap'
import { malformed } from '../../support/masters/malformed.ts'
import { heldMemory } from '../../support/processes/held-memory.ts'
import { aJob, post, sha256, startApi, until } from './api.ts'

const api = await startApi()
t.teardown(() => api.close())

interface Case {
  readonly what: string
  readonly send: () => Promise<Response>
}

const LETTER = '5a1d3c8e9b7f40526a1d3c8e9b7f4052'
/** Sound bodies, by where they are posted to, and what may be missing in them. */
const BODIES: Record<string, [body: Record<string, unknown>, optional: string[]]> = {
  '/v1/jobs': [
    aJob({ site: 'cloud', title: 'T', artist: 'A', release_id: 1, asset_id: 2 }),
    [
      ...[
        'request_id',
        'site',
        'title',
        'artist',
        'release_id',
        'asset_id',
        'derivative_assets',
      ],
      // The asset_id names the track.
      'asset_guid',
    ],
  ],
  '/v1/masters/a': [{ bytes: 5, sha256: sha256(Buffer.from('hello')) }, ['bytes']],
  [`/v1/dead-letters/${LETTER}/discard`]: [{ reason: 'because' }, []],
  '/v1/jobs/nobody/cancel': [{ asset_guid: 'a', reason: 'because' }, ['asset_guid', 'reason']],
  '/v1/releases/7/cancel': [{ reason: 'because' }, ['reason']],
  '/v1/dead-letters/redrive': [
    { filter: { step: 'stage', code: 'MASTER_NOT_FOUND' }, dry_run: true, rate: 5 },
    ['filter', 'step', 'code', 'dry_run', 'rate'],
  ],
}
/** Parameters of queries, by what is asked. Text is everything to `q`: it is not among them. */
const QUERIES: Record<string, string[]> = {
  '/v1/tracks': [
    ...['bpm_from', 'bpm_to', 'key', 'harmonic', 'seconds_from', 'seconds_to'],
    ...['asset', 'state', 'limit', 'page', 'nonesuch'],
  ],
  '/v1/kpis': ['from', 'to', 'nonesuch'],
  '/v1/cancellations': ['after', 'wait', 'nonesuch'],
  '/v1/releases': ['state', 'limit', 'page', 'nonesuch'],
  '/v1/releases/7': ['limit', 'page', 'nonesuch'],
  '/v1/dead-letters': ['state', 'limit', 'before', 'older_than', 'nonesuch'],
  '/v1/tracks/a/history': ['limit', 'before', 'nonesuch'],
}
const VALUES = ['', '-1', '1e+999', '🎵', '../x', "' or 1=1 --", '\0', 'x'.repeat(5000)]

const cases: readonly Case[] = [
  ...Object.entries(BODIES).flatMap(([path, [body, optional]]) =>
    malformed(body, { optional })
      // A list of jobs is sound.
      .filter(({ what }) => !(path === '/v1/jobs' && what === 'in a list'))
      .map((each) => ({
        what: `${path}: ${each.what}`,
        send: () => post(`${api.url}${path}`, each.body),
      })),
  ),
  ...Object.entries(QUERIES).flatMap(([path, names]) =>
    names.flatMap((name) =>
      VALUES.map((value) => {
        const query = new URLSearchParams({ [name]: value })
        return {
          what: `${path}?${name}=${value.slice(0, 20)}`,
          send: () => fetch(`${api.url}${path}?${query}`),
        }
      }),
    ),
  ),
]

/** What is wrong with the answer, if anything. */
async function faultOf({ what, send }: Case): Promise<string | undefined> {
  const response = await send()
  const text = await response.text()
  const type = response.headers.get('content-type') ?? ''
  const isProblem = /^application\/problem\+json/.test(type)
  const problem = isProblem ? JSON.parse(text) : {}
  const isRight =
    response.status >= 400 &&
    response.status < 500 &&
    problem.status === response.status &&
    problem.detail?.length > 10 &&
    problem.detail.length < 2100 &&
    typeof problem.remedy === 'string'
  return isRight ? undefined : `${what}: ${response.status} ${text.slice(0, 300)}`
}

async function faults(): Promise<readonly string[]> {
  const found = []
  for (const each of cases) {
    const fault = await faultOf(each)
    if (fault !== undefined) found.push(fault)
  }
  return found
}

t.test(
  'whatever breaks its contract by rule is a problem document that says why',
  async (t) => {
    t.ok(cases.length >= 200, `${cases.length} requests`)
    const stage = api.received('stage')
    t.same(await faults(), [])
    const before = await heldMemory()
    t.same(await faults(), [])
    const after = await heldMemory()
    t.ok(after < 1.15 * before, `${before >> 20} MiB before, ${after >> 20} MiB after`)
    const job = aJob({ asset_guid: 'after' })
    t.equal((await post(`${api.url}/v1/jobs`, job)).status, 202)
    await until('the sound job', () => stage.all.length > 0 || undefined)
    t.match(stage.all, [{ body: { request: { asset_guid: 'after' } } }], 'it alone goes on')
    t.equal(stage.all.length, 1)
  },
)
