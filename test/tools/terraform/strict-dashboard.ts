import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'

const { nested } = JSON.parse(readFileSync('terraform/tests/dashboard-schema.json', 'utf8'))
const root = protobuf.Root.fromJSON({ nested })
const DASHBOARD = root.lookupType('google.monitoring.dashboard.v1.Dashboard')

/** Message types whose JSON form is not an object. */
const WRITTEN: Readonly<Record<string, RegExp>> = {
  'google.protobuf.Duration': /^\d+(\.\d{1,9})?s$/,
  'google.protobuf.Timestamp': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/,
}

/** The faults that a strict parser of Google's proto finds in a dashboard in JSON, each with its path. */
export function dashboardFaults(value: unknown): string[] {
  return [...messageFaults(value, DASHBOARD, 'dashboard'), ...tileFaults(value)]
}

function messageFaults(value: unknown, type: protobuf.Type, at: string): string[] {
  if (!isRecord(value)) return [`${at}: an object is expected`]
  const faults: string[] = []
  for (const [name, given] of Object.entries(value)) {
    const field = type.fields[name]
    if (field === undefined) faults.push(`${at}.${name}: unknown`)
    else faults.push(...fieldFaults(given, field, `${at}.${name}`))
  }
  for (const { name, oneof } of type.oneofsArray) {
    const given = oneof.filter((each) => each in value)
    if (given.length > 1) faults.push(`${at}.${name}: only one of ${given.join(', ')}`)
  }
  for (const { name, options } of type.fieldsArray) {
    const isRequired = options?.['(google.api.field_behavior)'] === 'REQUIRED'
    if (isRequired && !(name in value)) faults.push(`${at}.${name}: is missing`)
  }
  return faults
}

function fieldFaults(value: unknown, field: protobuf.Field, at: string): string[] {
  if (field instanceof protobuf.MapField) {
    if (!isRecord(value)) return [`${at}: an object is expected`]
    return Object.entries(value).flatMap(([key, each]) =>
      valueFaults(each, field, `${at}.${key}`),
    )
  }
  if (!field.repeated) return valueFaults(value, field, at)
  if (!Array.isArray(value)) return [`${at}: a list is expected`]
  return value.flatMap((each, index) => valueFaults(each, field, `${at}[${index}]`))
}

function valueFaults(value: unknown, field: protobuf.Field, at: string): string[] {
  const written = WRITTEN[field.type]
  if (written !== undefined)
    return typeof value === 'string' && written.test(value) ? [] : [`${at}: no ${field.type}`]
  if (field.type.startsWith('google.protobuf.')) return []
  const type = field.resolve().resolvedType
  if (type instanceof protobuf.Type) return messageFaults(value, type, at)
  if (type instanceof protobuf.Enum) {
    return typeof value === 'string' && value in type.values
      ? []
      : [`${at}: ${value} is no value`]
  }
  const kind = { string: 'string', bool: 'boolean' }[field.type] ?? 'number'
  const isWhole = !/^(u?int|s?fixed|sint)/.test(field.type) || Number.isInteger(value)
  return (kind === 'number' ? Number.isFinite(value) && isWhole : kind === typeof value)
    ? []
    : [`${at}: a ${field.type} is expected`]
}

interface Tile {
  readonly xPos?: number
  readonly yPos?: number
  readonly width: number
  readonly height: number
}

/** Faults against rules that the proto states in its comments: tiles lie within the columns and do not overlap. */
function tileFaults(value: unknown): string[] {
  const { mosaicLayout } = value as {
    mosaicLayout?: { columns: number; tiles: readonly Tile[] }
  }
  const { columns = 0, tiles = [] } = mosaicLayout ?? {}
  const taken = new Set<string>()
  return tiles.flatMap(({ xPos = 0, yPos = 0, width, height }, index) => {
    const at = `tile ${index}`
    if (xPos < 0 || yPos < 0 || width < 1 || height < 1 || xPos + width > columns)
      return [`${at}: lies outside`]
    const own: string[] = []
    for (let x = xPos; x < xPos + width; x++)
      for (let y = yPos; y < yPos + height; y++) own.push(`${x} ${y}`)
    const isFree = own.every((cell) => !taken.has(cell))
    for (const cell of own) taken.add(cell)
    return isFree ? [] : [`${at}: lies over another`]
  })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
