import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { type Derivative, defineDerivative } from '#shared/assets/definition.ts'
import { loadRegistry } from '#shared/assets/registry.ts'
import {
  assetBytes,
  coreSeconds,
  costLines,
  operationsOf,
  pubsubBytes,
  type Workload,
} from '../../../tools/costs/estimate.ts'
import { type AssetFigures, figuresOf } from '../../../tools/costs/figures.ts'
import { MEASURED } from '../../../tools/costs/measured.ts'

const registry = await loadRegistry()
const figures = (...ids: readonly string[]) =>
  ids.map((id) => figuresOf(registry.get(id) as Derivative))
const FIVE = figures(...MEASURED.usual)
const CLI = new URL('../../../tools/cli/cli.ts', import.meta.url).pathname

/** Round prices, so that results can be checked by hand. */
const PRICES = {
  ...{ vcpuHour: 0.04, spotVcpuHour: 0.01, classA: 0.01, classB: 0.001 },
  ...{ gibMonth: 0.02, pubsubTib: 40, pubsubFreeGib: 10, egressGib: 0.1 },
}
const WORKLOAD: Workload = {
  ...{
    tracks: 1_000_000,
    seconds: 433,
    assets: FIVE,
    coreSlowdown: 1,
    utilisation: 1,
    spot: 1,
  },
  ...{ staged: 0, scratchMinutes: 0, months: 1, egress: 0 },
}

const near = (found: number, wanted: number) => Math.abs(found / wanted - 1) < 1e-9

function line(item: string, changed: Partial<Workload> = {}) {
  const lines = costLines({ ...WORKLOAD, ...changed }, PRICES)
  const found = lines.find((each) => each.item === item)
  if (!found) throw new Error(item)
  return found
}

t.test('core-seconds are those measured, scaled with the length', async (t) => {
  const of = (assets: readonly AssetFigures[], seconds: number, staged = 0) =>
    coreSeconds({ assets, seconds, staged })
  t.ok(near(of(FIVE, 433), 11), 'the track of five assets')
  t.ok(near(of(figures('aac-128'), 433), 8.8), 'and of one')
  // (13.5 − 11) ÷ 4 = 0.625 a job; 0.625 + 10.375 × 180 ÷ 433. Measured in a queue: 4.9.
  t.ok(near(of(FIVE, 180), 0.625 + (10.375 * 180) / 433))
  t.ok(Math.abs(of(FIVE, 180) - 4.9) < 0.1)
  t.ok(near(of(FIVE, 433, 0.5), 11 + 0.5 * (0.25 + 0.0055 * 433)), 'half of them staged')
})

t.test('compute: hours of vCPU, by utilisation, Spot and price', async (t) => {
  // 11 Ms = 3,055.56 h; × $0.01.
  t.match(line('compute, Spot'), { unit: 'vCPU-hours' })
  t.ok(near(line('compute, Spot').cost, (11e6 / 3600) * 0.01))
  const slower = { coreSlowdown: 2, utilisation: 0.5, spot: 0.75 }
  t.ok(near(line('compute, Spot', slower).cost, ((11e6 * 4) / 3600) * 0.75 * 0.01))
  t.ok(near(line('compute, on demand', slower).cost, ((11e6 * 4) / 3600) * 0.25 * 0.04))
  t.equal(line('compute, on demand').cost, 0)
})

t.test('storage: operations, assets, and scratch for the minutes that it exists', async (t) => {
  const { classA, classB } = operationsOf(WORKLOAD)
  t.ok(near(line('storage operations, class A').cost, classA * 1000 * 0.01))
  t.ok(near(line('storage operations, class B').cost, classB * 1000 * 0.001))
  const gib = (1e6 * assetBytes(WORKLOAD)) / 2 ** 30
  t.ok(near(line('assets kept', { months: 3 }).cost, 3 * gib * 0.02))
  t.equal(line('scratch', { scratchMinutes: 5 }).cost, 0, 'masters are read in place')
  // A million of 433 s × 176,400 B/s = 71,135 GiB, for a tenth of an hour of the 730 of a month.
  const scratch = line('scratch', { staged: 1, scratchMinutes: 6 })
  t.ok(near(scratch.cost, ((433 * 176_400 * 1e6) / 2 ** 30 / 7300) * 0.02))
  const preview = { assets: figures('preview') }
  t.equal(
    assetBytes({ ...preview, seconds: 433 }),
    assetBytes({ ...preview, seconds: 90 }),
    'a preview has an end',
  )
})

t.test(
  'Pub/Sub: no request below 1,000 bytes, published and delivered, the first GiB free',
  async (t) => {
    t.equal(pubsubBytes({ assets: FIVE }), 11 * 1000 * 2)
    t.equal(pubsubBytes({ assets: figures('bpm') }), 9 * 1000 * 2)
    // 22 GB = 20.489 GiB, less 10, in TiB, × $40.
    t.ok(near(line('Pub/Sub').cost, ((22e9 / 2 ** 30 - 10) / 1024) * 40))
    t.equal(line('Pub/Sub', { tracks: 100 }).cost, 0)
  },
)

t.test('egress: the share of the assets that leaves', async (t) => {
  const gib = (1e6 * assetBytes(WORKLOAD)) / 2 ** 30
  t.ok(near(line('egress of results', { egress: 0.25 }).cost, gib * 0.25 * 0.1))
})

t.test('every built-in asset was measured', async (t) => {
  for (const { id, isMeasured } of figures(...registry.keys())) t.ok(isMeasured, id)
})

t.test('an asset that was not measured takes what its definition states', async (t) => {
  const peak = figuresOf(
    defineDerivative({
      id: 'peak',
      version: 1,
      title: 'Sample peak',
      stage: 'analyze',
      files: { json: 'application/json', png: 'image/png' },
      cost: { fixedMs: 500, msPerSecond: 10, mostMs: 2000, fixedBytes: 50, bytesPerSecond: 2 },
      render: async () => ({ json: Buffer.from('{}'), png: Buffer.from('') }),
    }),
  )
  t.match(peak, { isMeasured: false, stage: 'analyze', files: 2 })
  t.same([peak.coreSeconds(100), peak.coreSeconds(1000)], [1.5, 2])
  t.equal(peak.bytes(100), 250)
  t.ok(near(coreSeconds({ assets: [peak], seconds: 100, staged: 0 }), 0.625 + 1.5))
})

t.test(
  'the command takes prices, prints the total, and names what it does not understand',
  async (t) => {
    const run = (...args: string[]) =>
      promisify(execFile)(process.execPath, [CLI, 'costs', ...args]).catch((error) => error)
    const json = JSON.parse(
      (await run('--json', '--assets=bpm', '--tracks=100', '--spot=0', '--vcpu-hour=36'))
        .stdout,
    )
    t.match(json, {
      workload: { assets: ['bpm'], seconds: 210, tracks: 100 },
      prices: { vcpuHour: 36 },
    })
    const [, compute] = json.lines
    t.ok(near(compute.cost, (100 * json.coreSecondsEach) / 0.7 / 100))
    const total = json.lines.reduce((sum: number, { cost }: { cost: number }) => sum + cost, 0)
    t.ok(near(json.total, total))
    const wrong = await run('--assets=bpm,mp4')
    t.match(wrong, { code: 2, stderr: /there is no asset mp4; there are aac-128/ })
    const folder = t.testdir({
      'peak.mjs': `export default {
        id: 'peak', version: 1, title: 'Peak', stage: 'analyze', files: { json: 'application/json' },
        cost: { fixedMs: 1000, msPerSecond: 0 }, render: async () => ({ json: Buffer.from('{}') }) }`,
      broken: { 'odd.mjs': 'export default {' },
    })
    const own = await run('--assets=peak', `--derivatives=${folder}`)
    t.match(own.stdout, /1.63 core-seconds each: peak\n[\s\S]*and not measured here: peak\.\n$/)
    const broken = await run('--assets=peak', `--derivatives=${folder}/broken`)
    t.match(broken, {
      code: 2,
      stderr: /^--derivatives: .*odd\.mjs: it cannot be loaded: .*\n$/,
    })
    t.match(await run('--spot=2'), { code: 2, stderr: /--spot must be a number from 0 to 1/ })
  },
)
