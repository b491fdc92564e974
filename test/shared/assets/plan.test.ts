import fc from 'fast-check'
import t from 'tap'
import type { Derivative } from '#shared/assets/definition.ts'
import { costMs, isPart, planSteps } from '#shared/assets/plan.ts'
import { loadRegistry } from '#shared/assets/registry.ts'
import { BUDGET_MS } from '#shared/contracts/stages.ts'

const GRID = 1000
const common = { version: 1, title: '', files: { bin: 'application/octet-stream' } } as const

function whole(id: string, stage: 'analyze' | 'encode', fixedMs: number, msPerSecond: number) {
  const render = async () => ({ bin: new Uint8Array() })
  return { ...common, id, stage, cost: { fixedMs, msPerSecond }, render } as Derivative
}

function split(id: string, stage: 'analyze' | 'encode', fixedMs: number, msPerSecond: number) {
  const part = async () => new Uint8Array()
  const join = async () => ({ bin: new Uint8Array() })
  const cost = { fixedMs, msPerSecond }
  return { ...common, id, stage, cost, grid: GRID, part, join } as Derivative
}

const seconds = (n: number) => n * 44_100
const options = { targetMs: 6000, coreSlowdown: 1 }

t.test('a track that fits is one step a stage', async (t) => {
  const assets = [
    whole('bpm', 'analyze', 100, 1),
    whole('key', 'analyze', 100, 1),
    split('aac', 'encode', 50, 8),
  ]
  const plan = planSteps(assets, seconds(400), options)
  t.same(plan.steps.analyze, [[0, 1]])
  t.same(plan.steps.encode, [[2]])
  t.ok(plan.units.every((unit) => unit.start === 0 && unit.end === seconds(400)))
})

t.test(
  'what does not fit one step is fanned out, and no step costs more than the target',
  async (t) => {
    const four = ['a', 'b', 'c', 'd'].map((id) => whole(id, 'encode', 0, 8))
    const plan = planSteps(four, seconds(400), options)
    t.equal(
      plan.steps.encode.length,
      4,
      'renditions of 3.2 s each, one to a step of at most 6 s',
    )
  },
)

t.test(
  'four renditions of an ordinary track fan out into steps that are each within the target',
  async (t) => {
    const registry = await loadRegistry()
    const ids = ['aac-128', 'mp3-320', 'mp3-128', 'flac']
    const assets = ids.flatMap((id) => registry.get(id) ?? [])
    const plan = planSteps(assets, seconds(433), options)
    t.same(plan.impossible, [])
    t.same(
      plan.units.map(({ asset }) => asset),
      ids,
      'each is made whole',
    )
    t.same(plan.steps.encode.flat(), [0, 1, 2, 3], 'each in one step')
    t.ok(plan.steps.encode.length > 1)
    for (const step of plan.steps.encode) {
      const ms = step.reduce((sum, index) => {
        const asset = assets[index]
        return sum + (asset ? costMs(asset, seconds(433)) : 0)
      }, 0)
      t.ok(ms <= options.targetMs, `${Math.round(ms)} ms`)
    }
  },
)

t.test(
  'an MP3 is made of twelve minutes and not of an hour; AAC and a preview of three',
  async (t) => {
    const registry = await loadRegistry()
    const impossible = (minutes: number) =>
      planSteps([...registry.values()], seconds(60 * minutes), options).impossible.map(
        ({ asset }) => asset.id,
      )
    t.same(impossible(12), [])
    t.same(impossible(60), ['flac', 'mp3-128', 'mp3-320'])
    t.same(impossible(180), ['flac', 'mp3-128', 'mp3-320'])
  },
)

t.test('a site of half the speed gets parts half as long', async (t) => {
  const aac = [split('aac', 'encode', 0, 8)]
  const fast = planSteps(aac, seconds(7200), options)
  const slow = planSteps(aac, seconds(7200), { ...options, coreSlowdown: 2 })
  const longest = (plan: typeof fast) =>
    Math.max(...plan.units.map(({ start, end }) => end - start))
  t.ok(Math.abs(longest(slow) / longest(fast) - 0.5) < 0.1)
})

t.test('so do the built-in ones, and one of a quarter can still make them', async (t) => {
  const registry = await loadRegistry()
  for (const id of ['aac-128', 'loudness']) {
    const asset = registry.get(id)
    if (asset === undefined) throw new Error(`no ${id}`)
    const longest = (coreSlowdown: number) => {
      const { units } = planSteps([asset], seconds(3 * 3600), { targetMs: 6000, coreSlowdown })
      return Math.max(...units.map(({ start, end }) => end - start))
    }
    t.equal(longest(2) / longest(1), 0.5, `${id} at half the speed`)
    t.ok(4 * costMs(asset, longest(4)) <= BUDGET_MS, `${id} at a quarter`)
  }
})

t.test(
  'a worker that is killed in a step of a mix loses about half a step at most',
  async (t) => {
    const assets = [...(await loadRegistry()).values()].filter((asset) => 'part' in asset)
    const { units } = planSteps(assets, seconds(3 * 3600), options)
    for (const unit of units.filter((unit) => isPart(unit, seconds(3 * 3600)))) {
      const asset = assets.find(({ id }) => id === unit.asset)
      if (asset === undefined) throw new Error(`no ${unit.asset}`)
      const ms = costMs(asset, unit.end - unit.start)
      t.ok(ms <= 0.55 * options.targetMs, `${unit.asset}: ${Math.round(ms)} ms`)
    }
  },
)

t.test(
  'what cannot be split and takes longer than the budget is impossible, and says so',
  async (t) => {
    const plan = planSteps([whole('flac', 'encode', 0, 8)], seconds(3600), options)
    t.equal(plan.units.length, 0)
    t.match(plan.impossible, [
      { error: { code: 'TOO_LONG_FOR_ASSET', message: /60\.0 min.*28\.8 s/ } },
    ])
  },
)

t.test(
  'for any assets and any length, parts tile the track on the grid and each unit is in one step',
  async (_t) => {
    const asset = fc.record({
      isSplit: fc.boolean(),
      stage: fc.constantFrom('analyze' as const, 'encode' as const),
      fixedMs: fc.integer({ min: 0, max: 300 }),
      msPerSecond: fc.double({ min: 0.01, max: 40, noNaN: true }),
    })

    t.doesNotThrow(() =>
      fc.assert(
        fc.property(
          fc.array(asset, { minLength: 1, maxLength: 6 }),
          fc.integer({ min: 1, max: seconds(4 * 3600) }),
          fc.integer({ min: 1, max: 4 }),
          (given, samples, coreSlowdown) => {
            const assets = given.map(({ isSplit, stage, fixedMs, msPerSecond }, i) =>
              (isSplit ? split : whole)(`a${i}`, stage, fixedMs, msPerSecond),
            )
            const plan = planSteps(assets, samples, { targetMs: 6000, coreSlowdown })
            const indexes = [...plan.steps.analyze.flat(), ...plan.steps.encode.flat()].sort(
              (a, b) => a - b,
            )
            if (indexes.some((index, i) => index !== i) || indexes.length !== plan.units.length)
              return false
            for (const asset of assets) {
              const units = plan.units.filter(({ asset: id }) => id === asset.id)
              if (plan.impossible.some(({ asset: { id } }) => id === asset.id)) {
                if (units.length > 0 || costMs(asset, samples) * coreSlowdown <= BUDGET_MS)
                  return false
                continue
              }
              let at = 0
              for (const { start, end } of units) {
                if (start !== at || end <= start || start % GRID !== 0) return false
                if (end < samples && end % GRID !== 0) return false
                at = end
              }
              if (at !== samples) return false
            }
            for (const step of [...plan.steps.analyze, ...plan.steps.encode]) {
              if (step.length < 2) continue
              const ms = step.reduce((sum, index) => {
                const unit = plan.units[index]
                const asset = assets.find(({ id }) => id === unit?.asset)
                return unit && asset
                  ? sum + costMs(asset, unit.end - unit.start) * coreSlowdown
                  : sum
              }, 0)
              if (ms > 6000.001) return false
            }
            return plan.units.every(
              (unit) => isPart(unit, samples) === (unit.start > 0 || unit.end < samples),
            )
          },
        ),
        { numRuns: 300 },
      ),
    )
  },
)
