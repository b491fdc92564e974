import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Derivative } from '#shared/assets/definition.ts'
import { loadDefinition, loadRegistry } from '#shared/assets/registry.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { WorkerPool } from '../../services/analyze/worker-pool.ts'
import { parsed, pathFrom, UsageError } from '../../tools/terminal/usage.ts'
import { examined, type Files, type Measured } from './derivative.ts'

const HELP = `npm run derivative -- FILE… [--out DIR]: examines definitions of derivative assets.

Makes each asset of synthetic tracks and prints what holds and what does not, and what it took on this machine.

  --out DIR  also writes the files that were made of the longest track
  --help     this

Exit codes: 0 all holds, 1 something does not, 2 usage.
`

process.exitCode = await main(process.argv.slice(2)).catch((error) => {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n`)
  return 2
})

async function main(args: readonly string[]): Promise<number> {
  const options = {
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  } as const
  const { values, positionals } = parsed(args, options, true)
  if (values.help || positionals.length === 0) {
    process.stdout.write(HELP)
    return values.help ? 0 : 2
  }
  const assets: Derivative[] = []
  for (const file of positionals) assets.push(await loaded(pathFrom(file)))
  const pool = new WorkerPool({ threads: 1 })
  let isSound = true
  try {
    for (const asset of assets) {
      const out = values.out === undefined ? undefined : pathFrom(values.out)
      isSound = (await holds(asset, pool, out)) && isSound
    }
  } finally {
    await pool.close()
  }
  return isSound ? 0 : 1
}

/** @throws UsageError with the fault of the file, or when its id is taken by a built-in asset */
async function loaded(path: string): Promise<Derivative> {
  try {
    const asset = await loadDefinition(path)
    if ((await loadRegistry()).get(asset.id) === asset || !(await loadRegistry()).has(asset.id))
      return asset
    throw new Error(`${path}: ${asset.id} is the id of a built-in asset`)
  } catch (error) {
    throw new UsageError(sentence(error))
  }
}

async function holds(
  asset: Derivative,
  pool: WorkerPool,
  out: string | undefined,
): Promise<boolean> {
  console.log(`${asset.id}@${asset.version}, made by ${asset.stage}`)
  let isSound = true
  let made: [Files, Measured] | undefined
  const onMade = (...found: [Files, Measured]) => {
    made = found
  }
  for await (const { what, holds: isFine, why } of examined(asset, { pool, onMade })) {
    isSound &&= isFine
    console.log(`  ${isFine ? 'ok   ' : 'FAULT'} ${what}${why === undefined ? '' : `: ${why}`}`)
  }
  if (made === undefined) return isSound
  const [files, measured] = made
  console.log(`  cost: ${JSON.stringify(measured)} as measured here`)
  console.log(`        ${JSON.stringify(asset.cost)} as the definition says`)
  if (out === undefined) return isSound
  await mkdir(out, { recursive: true })
  for (const [extension, bytes] of Object.entries(files)) {
    const path = join(out, `${asset.id}.${extension}`)
    await writeFile(path, bytes)
    console.log(`  wrote ${path}`)
  }
  return isSound
}
