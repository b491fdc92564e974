import type {
  DeadLetter,
  RedriveResult,
  WholeDeadLetter,
} from '#shared/contracts/api/dead-letter.ts'
import { printable, printableJson } from '../../../terminal/text.ts'

/** A letter in two lines. */
export function printed(letter: DeadLetter): string {
  const { id, dead_lettered, step, code, reason, state } = letter
  const facts = [
    ...[id, ageOf(dead_lettered), step, code],
    ...(letter.asset_guid === undefined ? ['no job in it'] : [subject(letter)]),
    ...(state === 'open' ? [] : [state]),
  ]
  return `${facts.map((fact) => printable(fact)).join('  ')}\n    ${printable(reason)}`
}

/** All properties of a letter, one a line; the body last. */
export function printedWhole(letter: WholeDeadLetter): string {
  const { settled, attributes, body, body_base64, bytes } = letter
  const lines: [string, string | undefined][] = [
    ['id', letter.id],
    ['state', settled === null ? letter.state : `${letter.state} ${settlementOf(settled)}`],
    ['dead-lettered', `${letter.dead_lettered} (${ageOf(letter.dead_lettered)} ago)`],
    ['step', `${letter.step}, attempt ${letter.attempt}`],
    ['code', letter.code],
    ['reason', letter.reason],
    ['what to do', letter.remedy],
    [
      'job',
      letter.job === undefined ? 'none in it: it can only be discarded' : subject(letter),
    ],
    ['request', letter.request_id],
    ...Object.entries(attributes).map(
      ([name, value]) => [`  ${name}`, value] as [string, string],
    ),
  ]
  const facts = lines
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${printable(name).padEnd(14)} ${printable(value ?? '')}`)
  const shown = body === undefined ? `base64: ${body_base64}` : readable(body)
  return [...facts, `body           ${bytes} bytes`, shown.replaceAll(/^/gm, '  ')].join('\n')
}

/** The result for one letter, in a line. */
export function resultLine(result: RedriveResult): string {
  const { id, status, code } = result
  const words =
    result.status === 'refused'
      ? `${code}: ${result.detail}`
      : `as run ${result.run}  ${result.asset_guid}  ${assetsOf(result)}  ${code}`
  return `${status.padEnd(10)} ${id}  ${printable(words)}`
}

function subject({ asset_guid, run, ...rest }: DeadLetter): string {
  return `${asset_guid}  run ${run}  ${assetsOf(rest)}`
}

function assetsOf({ derivative_assets }: Pick<DeadLetter, 'derivative_assets'>): string {
  return derivative_assets?.join(',') ?? 'all assets'
}

function settlementOf({ at, by, run, reason }: NonNullable<DeadLetter['settled']>): string {
  return `${at} by ${by}${run === undefined ? `: ${reason}` : ` as run ${run}`}`
}

/** JSON indented for reading; any other text unchanged. */
function readable(body: string): string {
  try {
    return printableJson(JSON.parse(body))
  } catch {
    return printable(body, { lines: true })
  }
}

function ageOf(moment: string): string {
  const seconds = Math.max(0, (Date.now() - Date.parse(moment)) / 1000)
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86_400)} d`
}
