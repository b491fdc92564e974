import { TARGET_FLAGS } from '../../../client/target.ts'
import { UsageError } from '../../../terminal/usage.ts'

const TEXT = { type: 'string' } as const

export const FLAGS = { ...TARGET_FLAGS, json: { type: 'boolean', default: false } } as const

export const SET_FLAGS = {
  ...FLAGS,
  ...{ name: TEXT, weight: TEXT, rate: TEXT, 'budget-usd': TEXT, 'budget-core-seconds': TEXT },
} as const

export const CREATE_FLAGS = {
  ...SET_FLAGS,
  ...{ manifest: TEXT, stale: TEXT, lacks: TEXT, 'failed-of': TEXT, assets: TEXT },
  filter: { type: 'string', multiple: true },
  start: { type: 'boolean', default: false },
} as const

interface SourceValues {
  readonly manifest?: string | undefined
  readonly stale?: string | undefined
  readonly lacks?: string | undefined
  readonly filter?: readonly string[] | undefined
  readonly 'failed-of'?: string | undefined
}

/** The source that flags name, as the API takes it, or the file to send. @throws UsageError unless there is one */
export function sourceFrom(values: SourceValues): {
  readonly source?: object
  readonly file?: string
} {
  const { manifest, stale, lacks, filter = [] } = values
  const failed_of = values['failed-of']
  const isQuestion = stale !== undefined || lacks !== undefined || filter.length > 0
  const given = [manifest !== undefined, isQuestion, failed_of !== undefined]
  if (given.filter(Boolean).length !== 1) {
    throw new UsageError(
      'create takes one source: --manifest, or --stale, --lacks and --filter, or --failed-of.',
    )
  }
  if (failed_of !== undefined) return { source: { failed_of } }
  if (manifest !== undefined)
    return /^(gs|file):\/\//.test(manifest) ? { source: { manifest } } : { file: manifest }
  const question = {
    ...(stale === undefined ? {} : { stale: stale.split(',') }),
    ...(lacks === undefined ? {} : { lacks: lacks.split(',') }),
    ...(filter.length === 0 ? {} : { filter: Object.fromEntries(filter.map(conditionIn)) }),
  }
  return { source: { question } }
}

function conditionIn(text: string): [string, string | number] {
  const [name = '', value] = text.split(/=(.*)/s)
  if (value === undefined)
    throw new UsageError(`--filter must be NAME=VALUE, got ${JSON.stringify(text)}.`)
  const isNumber =
    /_(from|to)$/.test(name) && value.trim() !== '' && !Number.isNaN(Number(value))
  return [name, isNumber ? Number(value) : value]
}

/** The budget that flags name; null: none. @returns undefined when they name nothing */
export function budgetIn(values: {
  readonly 'budget-usd'?: string | undefined
  readonly 'budget-core-seconds'?: string | undefined
}): { readonly usd?: number; readonly core_seconds?: number } | null | undefined {
  const given = [values['budget-usd'], values['budget-core-seconds']]
  if (given.includes('none')) return null
  const usd = numberIn('budget-usd', given[0])
  const core_seconds = numberIn('budget-core-seconds', given[1])
  if (usd === undefined && core_seconds === undefined) return undefined
  return {
    ...(usd === undefined ? {} : { usd }),
    ...(core_seconds === undefined ? {} : { core_seconds }),
  }
}

/** A number over 0. @throws UsageError that names the flag */
export function numberIn(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (text.trim() !== '' && number > 0 && Number.isFinite(number)) return number
  throw new UsageError(`--${flag} must be a number over 0, got ${text}.`)
}
