import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CAMPAIGN_ERRORS } from '#shared/contracts/errors/campaign.ts'
import { CHAIN_ERRORS } from '#shared/contracts/errors/chain.ts'
import { HTTP_ERRORS, VERDICT_STATUS } from '#shared/contracts/errors/http.ts'
import { Route } from '#shared/contracts/route.ts'
import { mayBeInFile, PROPERTIES, type Property, variableOf } from '#shared/frame/config.ts'
import { type Config, READERS, type Reader } from '#shared/frame/settings.ts'

/**
 * The documents that are generated from the code. `npm run docs` writes them; with `--check` it writes nothing.
 * Exit codes: 0 they are current, or have been written; 1 with `--check`: one of them is not current.
 */

const ROOT = join(import.meta.dirname, '../..')

/** The texts of the generated documents, by path from the root of the project. */
export function documents(): Readonly<Record<string, string>> {
  return {
    'docs/reference/configuration.md': configuration(),
    'docs/reference/errors.md': errors(),
  }
}

const GENERATED = '<!-- Written by `npm run docs`: do not edit. -->'

function configuration(): string {
  return `# Configuration
${GENERATED}

Each setting is an environment variable: \`TRACKCHAIN_\` and its name in upper case. A process reads them once, at its start. It ends with exit code 2 and one sentence that names every variable at fault, unknown \`TRACKCHAIN_\` variables included.

**Files.** Where the variable is followed by \`_FILE\`, the value may be in a file instead, such as one of a mounted ConfigMap or Secret: \`TRACKCHAIN_ROUTES_FILE=/etc/trackchain/routes.json\`. White space at both ends is dropped. Both variables at once are refused.

**Who reads it.** \`pod\` is the process that \`dispatch\` starts for a track; it gets these settings from its dispatcher, except for secrets. A setting may be given to a service that does not read it, so that one list serves all of them. \`TRACKCHAIN_TARGET\` and \`TRACKCHAIN_TOKEN\` belong to the [commands](../start/cli.md); services ignore them.

${table(
  ['setting', 'variable', 'unit', 'range', 'default', 'read by', 'what it is for'],
  PROPERTIES.map(([name, property]) => [
    code(name),
    code(variableOf(name)) + (mayBeInFile(property) ? ' (`_FILE`)' : ''),
    unitOf(name, property),
    rangeOf(property),
    defaultOf(property),
    readersOf(name as keyof Config),
    property.description ?? '',
  ]),
)}

## A route
Each route in \`routes\` is an object with:

${table(
  ['property', 'range', 'default', 'what it is for'],
  Object.entries<Property>(Route.properties).map(([name, property]) => [
    code(name),
    rangeOf(property),
    defaultOf(property),
    property.description ?? '',
  ]),
)}
`
}

function errors(): string {
  const statuses = Object.entries(VERDICT_STATUS)
    .map(([name, status]) => `${status} of ${code(name)}`)
    .join(', ')
  return `# Error codes
${GENERATED}

Codes are stable. \`GET /v1/errors\` of a running service lists those that it knows.

## Of the chain
They stand in events, announcements, dead letters and on the page. *fails*: a verdict; nothing tries again by itself. *restarts*: the run cannot go on, and the job goes to ingest again by itself. *goes on*: nothing has failed. Where the API refuses a job or a master for one of these reasons, the status is ${statuses}; of all others 422.

${table(
  ['code', 'effect', 'what it means', 'what to do'],
  Object.entries(CHAIN_ERRORS).map(([name, { effect, means, remedy }]) => [
    code(name),
    effect,
    means,
    remedy,
  ]),
)}

## Of the API
They stand in [problem documents](api.md) only.

${table(
  ['code', 'status', 'what it means', 'what to do'],
  Object.entries(HTTP_ERRORS).map(([name, { status, means, remedy }]) => [
    code(name),
    `${status}`,
    means,
    remedy,
  ]),
)}

## Of campaigns
They say why a [campaign](../tasks/campaigns.md) is paused, or why a line is none of its items.

${table(
  ['code', 'what it means', 'what to do'],
  Object.entries(CAMPAIGN_ERRORS).map(([name, { means, remedy }]) => [
    code(name),
    means,
    remedy,
  ]),
)}
`
}

const UNITS: Readonly<Record<string, string>> = {
  _seconds: 'seconds',
  _ms: 'ms',
  _days: 'days',
  _hours: 'hours',
  _hz: 'Hz',
  _mib: 'MiB',
  _kib: 'KiB',
  _per_minute: 'per minute',
}

function unitOf(name: string, { type }: Property): string {
  const suffix = Object.keys(UNITS).find((each) => name.endsWith(each))
  if (suffix !== undefined) return UNITS[suffix] ?? ''
  if (type === 'array' || type === 'object') return 'JSON'
  return ''
}

function rangeOf({ enum: values, minimum, exclusiveMinimum, maximum, type }: Property): string {
  if (values !== undefined) return values.map((each) => code(`${each}`)).join(', ')
  if (type === 'boolean') return '`true`, `false`'
  const from = exclusiveMinimum === undefined ? minimum : `over ${exclusiveMinimum}`
  if (from === undefined && maximum === undefined) return ''
  return maximum === undefined ? `from ${from}` : `${from} to ${maximum}`
}

function defaultOf(property: Property): string {
  if (!('default' in property)) return 'required'
  const { default: value } = property
  if (value === '') return 'empty'
  return code(typeof value === 'string' ? value : JSON.stringify(value))
}

function readersOf(name: keyof Config): string {
  const readers = READERS[name]
  const everybody = new Set<Reader>(Object.values(READERS).flat())
  return readers.length === everybody.size ? 'all' : readers.join(', ')
}

function code(text: string): string {
  return `\`${text}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

if (import.meta.main) {
  const isCheck = process.argv.includes('--check')
  for (const [path, text] of Object.entries(documents())) {
    if (!isCheck) writeFileSync(join(ROOT, path), text)
    else if (readFileSync(join(ROOT, path), 'utf8') !== text) {
      console.error(`${path} is not current: npm run docs writes it`)
      process.exitCode = 1
    }
  }
}
