import type { Registry } from '#shared/assets/registry.ts'
import { PRICES, type Prices, UTILISATION } from '#shared/contracts/prices.ts'
import {
  type CostLine,
  coreSeconds,
  costLines,
  type Workload,
} from '../../../costs/estimate.ts'
import { type AssetFigures, figuresOf } from '../../../costs/figures.ts'
import { MEASURED } from '../../../costs/measured.ts'
import { settingOf } from '../../../local/chain-settings.ts'
import { registryFrom } from '../../../local/check-derivatives.ts'
import { table } from '../../../terminal/table.ts'
import {
  numberFrom,
  parsed,
  pathFrom,
  slowdownFrom,
  UsageError,
} from '../../../terminal/usage.ts'

const HELP = `trackchain costs [FLAGS]: a forecast of what tracks cost in Google's cloud, in USD.
trackchain costs --by WHAT: what a chain has spent (--by tenant --help).

  --tracks N         number of tracks (1000000)
  --seconds N        length of a track, up to 600 (210)
  --assets A,B       assets to make (${MEASURED.usual.join(',')})
  --derivatives DIR  a folder with derivative assets of your own: their definitions state what they take
                     (default: TRACKCHAIN_DERIVATIVES)
  --core-slowdown N  how many times slower a core is than the measured one (1)
  --utilisation N    share of the paid vCPU time that works, 0 to 1 (${UTILISATION})
  --spot N           share of the compute that is Spot, 0 to 1 (1)
  --staged N         share of the masters that can't be read in place, 0 to 1 (0)
  --scratch-minutes N  how long scratch is kept (5)
  --months N         how long assets are kept (1)
  --egress N         share of the assets' bytes that leaves the cloud once, 0 to 1 (1)
  --json             print one JSON document
  --help             show this help

Prices, instead of Google's list prices of 2025 (docs/tasks/costs.md):

  --vcpu-hour N      on demand, with its memory (${PRICES.vcpuHour})
  --spot-vcpu-hour N (${PRICES.spotVcpuHour})
  --class-a N        1,000 storage operations of class A (${PRICES.classA})
  --class-b N        1,000 of class B (${PRICES.classB})
  --gib-month N      storage (${PRICES.gibMonth})
  --pubsub-tib N     published or delivered (${PRICES.pubsubTib})
  --pubsub-free-gib N  of that, free (${PRICES.pubsubFreeGib})
  --egress-gib N     out of the cloud (${PRICES.egressGib})
`

const TEXT = { type: 'string' } as const
const OPTIONS = {
  tracks: TEXT,
  seconds: TEXT,
  assets: TEXT,
  derivatives: TEXT,
  'core-slowdown': TEXT,
  utilisation: TEXT,
  spot: TEXT,
  staged: TEXT,
  'scratch-minutes': TEXT,
  months: TEXT,
  egress: TEXT,
  'vcpu-hour': TEXT,
  'spot-vcpu-hour': TEXT,
  'class-a': TEXT,
  'class-b': TEXT,
  'gib-month': TEXT,
  'pubsub-tib': TEXT,
  'pubsub-free-gib': TEXT,
  'egress-gib': TEXT,
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Prints what a workload costs. @returns the exit code. */
export async function forecast(args: readonly string[]): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  type Flag = Exclude<keyof typeof OPTIONS, 'json' | 'help' | 'assets' | 'derivatives'>
  const number = (flag: Flag, usually: number, most = Number.MAX_VALUE, least = 0) =>
    numberFrom(flag, values[flag], { usually, least, most })
  const { derivatives } = values
  const folder = derivatives === undefined ? settingOf('derivatives') : pathFrom(derivatives)
  const registry = await registryFrom(folder)
  const workload: Workload = {
    tracks: number('tracks', 1_000_000),
    seconds: number('seconds', 210, MAX_SECONDS, 1),
    assets: assetsFrom(values.assets, registry),
    coreSlowdown: slowdownFrom(values['core-slowdown']),
    utilisation: number('utilisation', UTILISATION, 1, 0.01),
    spot: number('spot', 1, 1),
    staged: number('staged', 0, 1),
    scratchMinutes: number('scratch-minutes', 5),
    months: number('months', 1),
    egress: number('egress', 1, 1),
  }
  const prices: Prices = {
    vcpuHour: number('vcpu-hour', PRICES.vcpuHour),
    spotVcpuHour: number('spot-vcpu-hour', PRICES.spotVcpuHour),
    classA: number('class-a', PRICES.classA),
    classB: number('class-b', PRICES.classB),
    gibMonth: number('gib-month', PRICES.gibMonth),
    pubsubTib: number('pubsub-tib', PRICES.pubsubTib),
    pubsubFreeGib: number('pubsub-free-gib', PRICES.pubsubFreeGib),
    egressGib: number('egress-gib', PRICES.egressGib),
  }
  const lines = costLines(workload, prices)
  const total = lines.reduce((sum, { cost }) => sum + cost, 0)
  const found = { workload, prices, coreSecondsEach: coreSeconds(workload), lines, total }
  const assets = workload.assets.map(({ id }) => id)
  const text = values.json
    ? JSON.stringify({ ...found, workload: { ...workload, assets } }, null, 2)
    : forPeople(found)
  await new Promise((written) => process.stdout.write(`${text}\n`, written))
  return 0
}

/** Longest track that fits one step, s: the figures hold for such tracks. */
const MAX_SECONDS = 600

function forPeople(forecast: {
  readonly workload: Workload
  readonly coreSecondsEach: number
  readonly lines: readonly CostLine[]
  readonly total: number
}): string {
  const { workload, coreSecondsEach, lines, total } = forecast
  const { tracks, seconds, assets } = workload
  const rows = lines.map(({ item, quantity, unit, cost }) => [
    item,
    quantity.toLocaleString('en', { maximumFractionDigits: quantity < 100 ? 2 : 0 }),
    unit,
    money(cost),
  ])
  const title = `${tracks.toLocaleString('en')} tracks of ${seconds} s, ${coreSecondsEach.toFixed(2)} core-seconds each: ${assets.map(({ id }) => id).join(', ')}`
  const all = table([['', 'quantity', '', 'USD'], ...rows, ['sum', '', '', money(total)]])
  const others = assets.filter(({ isMeasured }) => !isMeasured).map(({ id }) => id)
  const note = `As their definitions state it, and not measured here: ${others.join(', ')}.`
  return `${title}\n\n${all}${others.length > 0 ? `\n\n${note}` : ''}`
}

function money(usd: number): string {
  return usd.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
}

/** @throws UsageError when there is no such asset */
function assetsFrom(text: string | undefined, registry: Registry): readonly AssetFigures[] {
  const ids = text === undefined ? MEASURED.usual : new Set(text.split(','))
  return [...ids].map((id) => {
    const definition = registry.get(id)
    if (definition !== undefined) return figuresOf(definition)
    throw new UsageError(
      `--assets: there is no asset ${id}; there are ${[...registry.keys()].join(', ')}. A folder of your own is named by --derivatives.`,
    )
  })
}
