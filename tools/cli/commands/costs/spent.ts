import { COST_KEYS, type CostKey, type Costs } from '#shared/contracts/api/costs.ts'
import { Refused } from '../../../client/client.ts'
import { apiAt, TARGET_FLAGS, TARGET_HELP, targetOf } from '../../../client/target.ts'
import { type Output, TERMINAL } from '../../../terminal/output.ts'
import { table } from '../../../terminal/table.ts'
import { printable, printableJson } from '../../../terminal/text.ts'
import { parsed, UsageError } from '../../../terminal/usage.ts'

const HELP = `trackchain costs --by WHAT: what the steps of a chain have spent, what took most first.

  --by WHAT        ${COST_KEYS.join(', ')}
  --from DAY       the first day, UTC (29 days before the last one)
  --to DAY         the last day, included (today)

${TARGET_HELP}
                   (scope: read)
  --json           one JSON document, as GET /v1/costs answers it
  --help           show this help

USD are those of the core-seconds alone, on Spot, by the list price (docs/tasks/costs.md).

  npx trackchain costs --by tenant --from 2026-03-01 --to 2026-03-31

Exit codes: 0 success; 1 the API refuses, or does not answer; 2 usage.
`

const TEXT = { type: 'string' } as const
const OPTIONS = {
  ...TARGET_FLAGS,
  by: TEXT,
  from: TEXT,
  to: TEXT,
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function spent(
  args: readonly string[],
  { say, note }: Pick<Output, 'say' | 'note'> = TERMINAL,
): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    say(HELP)
    return 0
  }
  const query = new URLSearchParams({ by: keyFrom(values.by) })
  for (const name of ['from', 'to'] as const) {
    const day = values[name]
    if (day === undefined) continue
    if (!/^\d{4}-\d\d-\d\d$/.test(day))
      throw new UsageError(`--${name} must be a day such as 2026-03-01, got ${printable(day)}.`)
    query.set(name, day)
  }
  try {
    const costs = await apiAt(targetOf(values))<Costs>(`/v1/costs?${query}`)
    say(values.json ? printableJson(costs) : forPeople(costs))
    return 0
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    note(printable(error.message))
    return 1
  }
}

function keyFrom(text = ''): CostKey {
  const key = COST_KEYS.find((each) => each === text)
  if (key !== undefined) return key
  throw new UsageError(`--by: there are ${COST_KEYS.join(', ')}, got ${printable(text)}.`)
}

function forPeople({ by, from, to, costs, sum }: Costs): string {
  const shown = (name: string, line: Costs['sum']) => [
    name,
    whole(line.steps),
    whole(line.core_seconds),
    line.compute_usd.toFixed(2),
    gib(line.bytes_from_cloud),
    gib(line.bytes_to_cloud),
    whole(line.store_operations),
  ]
  const rows = costs.map(({ name, ...line }) => shown(printable(name ?? '(none)'), line))
  const header = [by, 'steps', 'core-seconds', 'USD', 'GiB in', 'GiB out', 'operations']
  return `${from} to ${to}, UTC\n\n${table([header, ...rows, shown('sum', sum)])}`
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(2)
}
