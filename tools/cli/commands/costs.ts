import { type CostLine, coreSeconds, costLines, type Workload } from '../../costs/estimate.ts'
import { MEASURED } from '../../costs/measured.ts'
import { PRICES, type Prices } from '../../costs/prices.ts'
import { table } from '../../terminal/table.ts'
import { numberFrom, parsed, slowdownFrom, UsageError } from '../../terminal/usage.ts'

const HELP = `trackchain costs [FLAGS]: a forecast of what tracks cost in Google's cloud, in USD.

  --tracks N         number of tracks (1000000)
  --seconds N        length of a track, up to 600 (210)
  --assets A,B       assets to make (${MEASURED.usual.join(',')})
  --core-slowdown N  how many times slower a core is than the measured one (1)
  --utilisation N    share of the paid vCPU time that works, 0 to 1 (0.7)
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
  ...{
    tracks: TEXT,
    seconds: TEXT,
    assets: TEXT,
    'core-slowdown': TEXT,
    utilisation: TEXT,
    spot: TEXT,
  },
  ...{ staged: TEXT, 'scratch-minutes': TEXT, months: TEXT, egress: TEXT },
  ...{ 'vcpu-hour': TEXT, 'spot-vcpu-hour': TEXT, 'class-a': TEXT, 'class-b': TEXT },
  ...{ 'gib-month': TEXT, 'pubsub-tib': TEXT, 'pubsub-free-gib': TEXT, 'egress-gib': TEXT },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Prints what a workload costs. @returns the exit code. */
export async function costs(args: readonly string[]): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  type Flag = Exclude<keyof typeof OPTIONS, 'json' | 'help' | 'assets'>
  const number = (flag: Flag, usually: number, most = Number.MAX_VALUE, least = 0) =>
    numberFrom(flag, values[flag], { usually, least, most })
  const workload: Workload = {
    tracks: number('tracks', 1_000_000),
    seconds: number('seconds', 210, MAX_SECONDS, 1),
    assets: assetsFrom(values.assets),
    coreSlowdown: slowdownFrom(values['core-slowdown']),
    utilisation: number('utilisation', 0.7, 1, 0.01),
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
  const document = { workload, prices, coreSecondsEach: coreSeconds(workload), lines, total }
  const text = values.json ? JSON.stringify(document, null, 2) : forPeople(document)
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
  const title = `${tracks.toLocaleString('en')} tracks of ${seconds} s, ${coreSecondsEach.toFixed(2)} core-seconds each: ${assets.join(', ')}`
  const all = table([['', 'quantity', '', 'USD'], ...rows, ['sum', '', '', money(total)]])
  return `${title}\n\n${all}`
}

function money(usd: number): string {
  return usd.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
}

/** @throws UsageError */
function assetsFrom(text: string | undefined): readonly string[] {
  if (text === undefined) return MEASURED.usual
  const assets = [...new Set(text.split(','))]
  const known = Object.keys(MEASURED.stageOf)
  const unknown = assets.filter((id) => !known.includes(id))
  if (unknown.length === 0) return assets
  const list = known.join(', ')
  throw new UsageError(`--assets: no figures of ${unknown.join(', ')}; there are ${list}.`)
}
