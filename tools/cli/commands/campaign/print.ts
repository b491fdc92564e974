import type { Campaign } from '#shared/contracts/api/campaign.ts'
import { bar } from '../../../terminal/bars.ts'
import { table } from '../../../terminal/table.ts'
import { printable } from '../../../terminal/text.ts'

/** A table of campaigns. */
export function listText(campaigns: readonly Campaign[]): string {
  const rows = campaigns.map((each) => [
    ...[
      each.id,
      each.state,
      `${each.items}`,
      `${percentOf(each)}`,
      `${each.failed + each.partial}`,
    ],
    ...[each.created.slice(0, 16), each.name],
  ])
  const text = table([['id', 'state', 'items', '%', 'failed', 'created', 'name'], ...rows])
  return printable(text, { lines: true })
}

/** A campaign with all that is to be known of it. */
export function wholeText(campaign: Campaign): string {
  const { id, name, state, source, derivative_assets, items, refused, waiting, open } = campaign
  const { done, partial, failed, cancelled, unreleasable, eta, paused, rate, weight } = campaign
  const lines = [
    `${id}  ${state}  ${name}`,
    `of ${sourceText(source)}: ${derivative_assets.join(', ')}`,
    `${items} items, ${refused} lines refused${state === 'enumerating' ? `; ${campaign.enumerated} % of its source is read` : ''}`,
    `${waiting} wait, ${open} are under way, ${done} done, ${partial} partial, ${failed} failed, ${cancelled} cancelled${unreleasable > 0 ? `, ${unreleasable} could not be released` : ''}`,
    `weight ${weight}, ${rate === null ? 'no limit' : `${rate} a minute at most`}; created by ${campaign.by} at ${campaign.created}`,
    ...(eta === null ? [] : [`done at ${eta.at} (${eta.from} to ${eta.to ?? '?'})`]),
    ...(paused === null ? [] : [`paused (${paused.code}): ${paused.sentence}`]),
    ...(paused?.remedy === undefined ? [] : [paused.remedy]),
  ]
  return printable(lines.join('\n'), { lines: true })
}

/** What a campaign has cost beside what it was forecast to cost. */
export function reportText(campaign: Campaign): string {
  const { id, name, state, items, waiting, open, spent, budget, forecast } = campaign
  const row = (what: string, { core_seconds, usd }: Campaign['spent']) => [
    what,
    Math.round(core_seconds).toLocaleString('en'),
    usd.toFixed(2),
  ]
  const result = forecast?.result ?? null
  const share = (items - waiting - open) / Math.max(1, items)
  const rows = [
    ...(result === null
      ? []
      : [row('forecast', result), row('  from', result.from), row('  to', result.to)]),
    row('spent', spent),
    ...(budget === null
      ? []
      : [['budget', whole(budget.core_seconds), budget.usd?.toFixed(2) ?? '']]),
  ]
  const known = result === null ? Number.NaN : spent.core_seconds / result.core_seconds - 1
  const words =
    forecast === null
      ? 'There is no forecast: campaign forecast makes one.'
      : result === null
        ? `The sample of the forecast, ${forecast.sample}, has not ended.`
        : state === 'done'
          ? `The forecast was wrong by ${Math.abs(known * 100).toFixed(1)} % (${known > 0 ? 'too low' : 'too high'}), of ${result.sampled} items.`
          : `By ${result.sampled} items; it lies between from and to in nineteen of twenty cases.`
  const lines = [
    `${id}  ${state}, ${Math.floor(100 * share)} % of ${items} items  ${name}`,
    '',
    table([['', 'core-seconds', 'USD'], ...rows]),
    '',
    words,
  ]
  return printable(lines.join('\n'), { lines: true })
}

function whole(value: number | undefined): string {
  return value === undefined ? '' : Math.round(value).toLocaleString('en')
}

/** A line with a bar of how far it is. */
export function barText(campaign: Campaign): string {
  const { state, items, eta } = campaign
  if (state === 'enumerating')
    return bar(campaign.enumerated / 100, `its source is read: ${items} items`)
  const until = eta === null ? '' : `, until ${eta.at.slice(0, 16)}`
  const wrong = campaign.failed + campaign.partial
  const words = `${state}: ${endedOf(campaign)} of ${items}${wrong > 0 ? `, ${wrong} failed` : ''}${until}`
  return bar(endedOf(campaign) / Math.max(1, items), words)
}

function endedOf({ items, waiting, open }: Campaign): number {
  return items - waiting - open
}

function percentOf(campaign: Campaign): number {
  return Math.floor((100 * endedOf(campaign)) / Math.max(1, campaign.items))
}

function sourceText(source: Campaign['source']): string {
  if (source.kind === 'manifest') return source.uri
  if (source.kind === 'sample') return `a sample of ${source.campaign}`
  if (source.kind === 'failed') return `the failed items of ${source.campaign}`
  const { stale, lacks, filter } = source
  return [
    ...(stale ? [`tracks with stale ${stale.join(', ')}`] : []),
    ...(lacks ? [`tracks without ${lacks.join(', ')}`] : []),
    ...(filter
      ? [
          `tracks with ${Object.entries(filter)
            .map((each) => each.join('='))
            .join(', ')}`,
        ]
      : []),
  ].join(stale && lacks && !filter ? ' or ' : '; ')
}
