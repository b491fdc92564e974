import { TARGET_FLAGS } from '../../../client/target.ts'
import { UsageError } from '../../../terminal/usage.ts'

const STRING = { type: 'string' } as const
const RATE = { type: 'string', default: '10' } as const
const SWITCH = { type: 'boolean', default: false } as const

const COMMON = { ...TARGET_FLAGS, json: SWITCH } as const

const FILTER = { step: STRING, code: STRING, asset: STRING, track: STRING, before: STRING }

/** The flags of each command. */
export const FLAGS = {
  list: { ...COMMON, ...FILTER, state: STRING, limit: STRING },
  show: COMMON,
  redrive: {
    ...COMMON,
    ...FILTER,
    limit: STRING,
    rate: RATE,
    all: SWITCH,
    'dry-run': SWITCH,
  },
  discard: { ...COMMON, reason: STRING },
} as const

export function filterOf(
  values: Partial<Record<keyof typeof FILTER, string>>,
): Record<string, string> {
  const { before, ...rest } = values
  const given = Object.keys(FILTER).flatMap((name) => {
    const value = rest[name as keyof typeof rest]
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    ...Object.fromEntries(given),
    ...(before === undefined ? {} : { before: momentFrom(before) }),
  }
}

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** @returns ISO 8601. */
function momentFrom(text: string): string {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const ms =
    number === undefined
      ? Date.parse(text)
      : Date.now() - Number(number) * UNITS[unit as keyof typeof UNITS] * 1000
  if (!Number.isNaN(ms)) return new Date(ms).toISOString()
  throw new UsageError(
    `--before must be a moment such as 2026-01-31T12:00:00Z, or an age such as 2h, got ${text}.`,
  )
}

export function rateFrom(text: string): number {
  const rate = Number(text)
  if (rate > 0 && rate <= 1000) return rate
  throw new UsageError(`--rate must be a number of letters a second, up to 1000, got ${text}.`)
}

export function ids(positionals: readonly string[]): string[] {
  const odd = positionals.find((id) => !/^[0-9a-f]{32}$/.test(id))
  if (odd === undefined) return [...new Set(positionals)]
  throw new UsageError(`An ID has 32 hexadecimal digits, as list shows it, got ${odd}.`)
}
