import { mkdir, rm, writeFile } from 'node:fs/promises'
import t from 'tap'
import type { Derivative } from '#shared/assets/definition.ts'
import { loadRegistry } from '#shared/assets/registry.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { sourceOf } from '#shared/audio/ranged.ts'
import { analyzeTools } from '../../services/analyze/tools.ts'
import { WorkerPool } from '../../services/analyze/worker-pool.ts'
import { encodeTools } from '../../services/encode/tools.ts'
import { bytesOf } from '../support/bytes.ts'
import { timeLimit } from '../support/patience.ts'

// Every file in the folder, those written tomorrow too, must pass this. An operator's own folder as well:
// TRACKCHAIN_DERIVATIVES=folder npx tap test/conformance/derivatives.test.ts
const registry = await loadRegistry(process.env.TRACKCHAIN_DERIVATIVES)
const pool = new WorkerPool({ threads: 1 })
t.teardown(() => pool.close())

const RATE = 44_100

/** A beat and a chord, different from second to second, that any asset has something to say of. */
function track(seconds: number): PcmSource {
  const samples = Math.round(seconds * RATE)
  const pcm = new Int16Array(2 * samples)
  for (let at = 0; at < samples; at++) {
    const time = at / RATE
    const beat = time % 0.5
    const kick =
      Math.exp(-beat * 30) * Math.sin(2 * Math.PI * (50 + 80 * Math.exp(-beat * 40)) * beat)
    const chord = [220, 261.63, 329.63].reduce(
      (sum, hz) => sum + Math.sin(2 * Math.PI * hz * time),
      0,
    )
    const swell = 0.5 + 0.5 * Math.sin(time / 3)
    pcm[2 * at] = Math.round(14_000 * kick + 3000 * swell * chord)
    pcm[2 * at + 1] = Math.round(14_000 * kick + 2500 * chord)
  }
  return sourceOf(samples, async (start, end) => pcm.subarray(2 * start, 2 * end))
}

async function toolsFor(asset: Derivative, pcm: PcmSource, signal: AbortSignal) {
  return (
    asset.stage === 'analyze' ? analyzeTools({ pcm, signal, pool }) : encodeTools(pcm, signal)
  ) as never
}

type Files = Readonly<Record<string, Buffer>>

/** Makes the asset in parts of `cells` grid cells each. */
async function make(asset: Derivative, pcm: PcmSource, cells: number): Promise<Files> {
  const tools = await toolsFor(asset, pcm, timeLimit(60_000))
  const rendered =
    'render' in asset
      ? await asset.render(tools)
      : await asset.join(await partsOf(asset, pcm, cells, tools), tools)
  const files = Object.entries(rendered).map(async ([key, file]) => [key, await bytesOf(file)])
  return Object.fromEntries(await Promise.all(files))
}

async function partsOf(
  asset: Extract<Derivative, { grid: number }>,
  pcm: PcmSource,
  cells: number,
  tools: never,
): Promise<readonly Uint8Array[]> {
  const parts: Uint8Array[] = []
  for (let start = 0; start < pcm.samples; start += cells * asset.grid) {
    const end = Math.min(pcm.samples, start + cells * asset.grid)
    parts.push(await asset.part({ start, end }, tools))
  }
  return parts
}

// Longer than one cell of the built-in grids; where nothing is cut, shorter will do.
const whole = track(60)
const inCells = track(250)

for (const asset of registry.values()) {
  t.test(`${asset.id}@${asset.version}`, async (t) => {
    const long = 'render' in asset ? whole : inCells
    const made = await make(asset, long, 1000)
    t.same(
      Object.keys(made).sort(),
      Object.keys(asset.files).sort(),
      'renders the files it promises',
    )
    for (const [extension, bytes] of Object.entries(made)) {
      t.ok(bytes instanceof Uint8Array && bytes.length > 0, `${extension} has bytes`)
    }
    t.ok(
      same(await make(asset, long, 1), made),
      'the bytes do not depend on how it was cut into parts',
    )

    if (asset.result) {
      const first = Object.values(made)[0] as Buffer
      t.ok(first.length <= 16_384, 'the result is small')
      t.type(JSON.parse(first.toString()), 'object', 'the result is a JSON object')
    }

    const tiny = sourceOf(1, async () => new Int16Array(2))
    const one = await make(asset, tiny, 1)
    t.same(
      Object.keys(one).sort(),
      Object.keys(asset.files).sort(),
      'one silent sample is a track too',
    )

    const gone = AbortSignal.abort(new Error('the node is going'))
    const tools = await toolsFor(asset, long, gone)
    const aborted: Promise<unknown> =
      'render' in asset
        ? asset.render(tools)
        : asset.part({ start: 0, end: long.samples }, tools)
    await t.rejects(aborted, Error, 'gives up when the signal aborts')
  })
}

t.test('a folder of one’s own is added to the registry', async (t) => {
  const folder = t.testdir({
    'peak.mjs': `export default {
      id: 'peak', version: 1, title: 'Peak', stage: 'analyze', files: { json: 'application/json' },
      cost: { fixedMs: 1, msPerSecond: 0.1 }, render: async () => ({ json: Buffer.from('{}') }) }`,
  })
  t.ok((await loadRegistry(folder)).has('peak'))
})

for (const [what, source, words] of [
  ['no default export', 'export const x = 1', /default export/],
  ['an id that is no id', "export default { id: 'Über' }", /id must match/],
  ['a version of 0', "export default { id: 'x', version: 0 }", /version must be/],
  ['no files', "export default { id: 'x', version: 1, stage: 'encode' }", /files must name/],
  [
    'an id that is taken',
    "export default { id: 'bpm', version: 1, stage: 'analyze', files: { json: 'a/b' }, cost: { fixedMs: 1, msPerSecond: 1 }, render() {} }",
    /bpm is taken/,
  ],
] as const) {
  t.test(`a definition with ${what} is refused, and the file is named`, async (t) => {
    const folder = `${t.testdirName}-${Math.random()}`
    await mkdir(folder, { recursive: true })
    t.teardown(() => rm(folder, { recursive: true }))
    await writeFile(`${folder}/odd.mjs`, source)
    await t.rejects(loadRegistry(folder), { message: words })
    await t.rejects(loadRegistry(folder), { message: /odd\.mjs/ })
  })
}

function same(a: Files, b: Files): boolean {
  return Object.keys(a).every((key) => a[key]?.equals(b[key] ?? Buffer.alloc(0)))
}
