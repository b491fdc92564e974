import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import { accept, toStage } from '#shared/jobs/accept.ts'

const registry = await loadRegistry()
const settings = {
  registry,
  tenants: {},
  uploads: 'file:///var/uploads',
  routes: {
    cloud: {
      templates: ['gs://masters/{asset_guid}.wav'],
      prefixes: ['gs://masters'],
      core_slowdown: 1,
    },
    'onprem-a': {
      templates: ['file:///mnt/masters/{asset_id}.wav'],
      prefixes: ['file:///mnt/masters'],
      core_slowdown: 2,
    },
  },
}

const beatport = {
  request_id: '5ed2f6fa-4a27-4f1e-9a5b-2c7d3b1a9f10',
  release_id: 2810458,
  asset_id: 11923466,
  asset_guid: 'b9b5b8e2-6a3b-4c39-9d6d-0d5f3f0f8a11',
  derivative_assets: ['bpm', 'aac-128'],
}

t.test('an EncodeJob as published is accepted, its master found by template', async (t) => {
  const accepted = accept(beatport, settings)
  t.same(accepted.request, beatport)
  t.equal(accepted.route, 'cloud')
  t.equal(accepted.masters[0], `gs://masters/${beatport.asset_guid}.wav`)
  t.equal(toStage(accepted).topic, 'stage')
})

t.test(
  'the same request for the same track is the same job, whatever it asks for',
  async (t) => {
    const first = accept(beatport, settings)
    const wider = accept({ ...beatport, derivative_assets: ['key'] }, settings)
    const other = accept({ ...beatport, asset_guid: 'another' }, settings)
    t.equal(wider.job, first.job)
    t.not(other.job, first.job)
  },
)

t.test('the route is the site, else where the master is, else the first', async (t) => {
  const route = (extra: object) => accept({ ...beatport, ...extra }, settings).route
  t.equal(route({ site: 'onprem-a' }), 'onprem-a')
  t.equal(route({ master_uri: 'file:///mnt/masters/a.wav' }), 'onprem-a')
  t.equal(route({ master_uri: 'gs://masters/a.wav' }), 'cloud')
  t.equal(toStage(accept({ ...beatport, site: 'onprem-a' }, settings)).topic, 'stage-onprem-a')
})

t.test('a lane is its own topics; the default one is not mentioned in messages', async (t) => {
  const inLane = (lane?: unknown, extra: object = {}) =>
    accept({ ...beatport, ...(lane === undefined ? {} : { lane }), ...extra }, settings)
  t.equal(toStage(inLane('urgent')).topic, 'stage.urgent')
  t.equal(toStage(inLane('backfill', { site: 'onprem-a' })).topic, 'stage-onprem-a.backfill')
  t.equal(inLane('backfill').request.lane, 'backfill')
  const named = inLane('new')
  t.same(named, { ...inLane(), accepted: named.accepted })
  t.equal(inLane('urgent').job, inLane().job, 'and the same job')
  t.throws(() => inLane('fast'), {
    code: 'NOT_AN_ENCODE_JOB',
    message: /\/lane must be one of "urgent", "new", "backfill", got "fast"/,
  })
})

t.test(
  'a job has the tenant of its caller, else the one it names; unknown ones are refused',
  async (t) => {
    const known = { ...settings, tenants: { label: {}, shop: { weight: 3, quota: 10 } } }
    const of = (tenant?: string, owner?: string) =>
      accept({ ...beatport, ...(tenant === undefined ? {} : { tenant }) }, known, {}, owner)
    t.equal(of('label').request.tenant, 'label')
    t.equal(of(undefined, 'label').request.tenant, 'label')
    t.equal(of('label', 'label').request.tenant, 'label')
    for (const unnamed of [of(), of('default'), of(undefined, 'default')])
      t.notOk('tenant' in unnamed.request, 'the default one is not mentioned in messages')
    t.equal(of('shop').job, of('label').job, 'and it names no job')
    const refused = (tenant: string, owner?: string) => {
      try {
        return of(tenant, owner).request
      } catch (error) {
        return error
      }
    }
    t.match(refused('nobody'), {
      ...{ code: 'UNKNOWN_TENANT', at: '/tenant' },
      message: '"nobody" is no tenant here; there are: default, label, shop',
    })
    for (const other of ['shop', 'nobody']) {
      const error = refused(other, 'label')
      t.match(error, { code: 'OTHER_TENANT', at: '/tenant' })
      t.notMatch(error, { message: /default/ }, 'a caller does not learn which there are')
    }
    t.match(refused('label', 'default'), { code: 'OTHER_TENANT' })
    t.match(refused('No Name'), { code: 'NOT_AN_ENCODE_JOB' })
  },
)

t.test('without derivative_assets all available ones are made', async (t) => {
  const { request } = accept({ asset_guid: 'a' }, settings)
  t.same(request.derivative_assets, [...registry.keys()])
})

t.test('nothing is required but a name for the track: asset_id alone is one', async (t) => {
  const { request, masters, job } = accept({ asset_id: 5, request_id: 'r' }, settings)
  t.match(request, { asset_guid: 'id-5', asset_id: 5 })
  t.same(masters, ['file:///mnt/masters/5.wav', 'upload:id-5'])
  t.equal(job, accept({ asset_guid: 'id-5', request_id: 'r' }, settings).job)
  t.equal(accept({ ...beatport }, settings).request.asset_guid, beatport.asset_guid)
})

t.test('braces around a GUID are taken off, and nothing else is changed', async (t) => {
  const bare = accept(beatport, settings)
  const { asset_guid, request_id } = beatport
  const braced = { asset_guid: `{${asset_guid}}`, request_id: `{${request_id}}` }
  const { request, job } = accept({ ...beatport, ...braced }, settings)
  t.same(request, bare.request)
  t.equal(job, bare.job)
  const upper = accept({ ...beatport, request_id: request_id.toUpperCase() }, settings)
  t.equal(upper.request.request_id, request_id.toUpperCase(), 'as it was given')
  t.equal(upper.job, bare.job, 'and the same request')
  for (const odd of [
    '{a-track}',
    `{${asset_guid}`,
    `${asset_guid}}`,
    `{{${asset_guid}}}`,
    '{}',
  ])
    t.throws(() => accept({ asset_guid: odd }, settings), /asset_guid must match/, odd)
})

t.test('a request may be called anything that can stand in an address', async (t) => {
  const job = (request_id: string) => accept({ ...beatport, request_id }, settings).job
  for (const id of [
    '7',
    'A',
    'a',
    ' ',
    'a/b?c#d',
    '夜 🎵',
    '{x}',
    "'; drop table job",
    '%2e%2e',
    '...',
  ]) {
    t.match(accept({ ...beatport, request_id: id }, settings).request, { request_id: id })
  }
  t.not(job('A'), job('a'), 'only a UUID has two cases')
  for (const odd of ['', '.', '..', 'a\0b', 'a\u0085b', 'a\ud800b', '\udc00', 'x'.repeat(201)])
    t.throws(() => job(odd), /request_id/, JSON.stringify(odd))
})

t.test('what the track is called goes along', async (t) => {
  const names = { title: '夜 '.repeat(250), artist: '' }
  t.match(accept({ ...beatport, ...names }, settings).request, names)
})

const faults: readonly [string, unknown, string, RegExp][] = [
  ['no track', { derivative_assets: ['bpm'] }, 'NO_TRACK', /asset_guid/],
  ['an unknown site', { ...beatport, site: 'onprem-b' }, 'UNKNOWN_SITE', /onprem-b.*onprem-a/],
  [
    'an unknown asset',
    { ...beatport, derivative_assets: ['bmp'] },
    'UNKNOWN_DERIVATIVE',
    /"bmp".*bpm/,
  ],
  [
    'an asset twice',
    { ...beatport, derivative_assets: ['bpm', 'bpm'] },
    'NOT_AN_ENCODE_JOB',
    /duplicate/,
  ],
  ['no asset', { ...beatport, derivative_assets: [] }, 'NOT_AN_ENCODE_JOB', /1 items/],
  [
    'a wrong type',
    { ...beatport, asset_id: '7' },
    'NOT_AN_ENCODE_JOB',
    /asset_id must be integer, got "7"/,
  ],
  [
    'a misspelt property',
    { ...beatport, sites: 'x' },
    'NOT_AN_ENCODE_JOB',
    /unknown property "sites"/,
  ],
  [
    'a line break in a title',
    { ...beatport, title: 'a\nb' },
    'NOT_AN_ENCODE_JOB',
    /title must match/,
  ],
  [
    'a title that goes on and on',
    { ...beatport, title: 'x'.repeat(501) },
    'NOT_AN_ENCODE_JOB',
    /title must NOT have more than 500/,
  ],
  [
    'a path as an id',
    { ...beatport, asset_guid: '../../etc' },
    'NOT_AN_ENCODE_JOB',
    /asset_guid must match/,
  ],
  [
    'dots as an id',
    { ...beatport, asset_guid: '..' },
    'NOT_AN_ENCODE_JOB',
    /asset_guid must match/,
  ],
  [
    'half a surrogate pair in a title',
    { ...beatport, title: 'a\ud800b' },
    'NOT_AN_ENCODE_JOB',
    /title must match/,
  ],
  [
    'a NUL in a master_uri',
    { ...beatport, master_uri: 'gs://masters/a\0.wav' },
    'NOT_AN_ENCODE_JOB',
    /master_uri must match/,
  ],
  ['no object', ['x'], 'NOT_AN_ENCODE_JOB', /must be object/],
  ['null', null, 'NOT_AN_ENCODE_JOB', /must be object/],
  [
    'a master out of bounds',
    { ...beatport, master_uri: 'file:///etc/passwd' },
    'MASTER_OUT_OF_BOUNDS',
    /etc\/passwd/,
  ],
  [
    'a master out of bounds by dots',
    { ...beatport, master_uri: 'file:///mnt/masters/../../etc/passwd' },
    'MASTER_OUT_OF_BOUNDS',
    /outside/,
  ],
  [
    'a bucket that only begins like ours',
    { ...beatport, master_uri: 'gs://masters-of-others/a.wav' },
    'MASTER_OUT_OF_BOUNDS',
    /outside/,
  ],
  [
    'a URL',
    { ...beatport, master_uri: 'http://169.254.169.254/' },
    'MASTER_OUT_OF_BOUNDS',
    /outside/,
  ],
  [
    'a master of another route than its site',
    { ...beatport, site: 'cloud', master_uri: 'file:///mnt/masters/a.wav' },
    'MASTER_OUT_OF_BOUNDS',
    /route cloud/,
  ],
]
for (const [what, job, code, words] of faults) {
  t.test(`${what} is refused with ${code}, in words`, async (t) => {
    t.throws(() => accept(job, settings), { name: 'PermanentError', code, message: words })
  })
}
