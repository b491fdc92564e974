import protobuf from 'protobufjs'
import { Fault } from '../fault.ts'

// The JSON mapping of protobuf, as far as Pub/Sub needs it: https://protobuf.dev/programming-guides/json/

type Json = Record<string, unknown>

/**
 * Converts a JSON object to a plain message: bytes from base64, durations and times as seconds and nanos.
 * @throws Fault
 */
export function fromJson(type: protobuf.Type, json: Json): Json {
  const message: Json = {}
  for (const name of Object.keys(json))
    if (!type.fieldsArray.some((field) => field.name === name || snake(field.name) === name))
      throw new Fault(
        'INVALID_ARGUMENT',
        `A ${type.name} has no field ${JSON.stringify(name.slice(0, 200))}.`,
      )
  for (const field of type.fieldsArray) {
    const given = json[field.name] ?? json[snake(field.name)]
    if (given === undefined || given === null) continue
    const { resolvedType } = field.resolve()
    const one = (value: unknown): unknown => {
      if (field.type === 'bytes') return bytes(field.name, value)
      if (resolvedType instanceof protobuf.Type) return inner(resolvedType, value)
      if (field.type === 'bool') return bool(field.name, value)
      if (INTEGERS.includes(field.type)) return integer(field.name, value)
      if (field.type === 'string' && typeof value !== 'string')
        throw new Fault('INVALID_ARGUMENT', `${field.name} must be a string.`)
      return value
    }
    if (field.repeated && !Array.isArray(given))
      throw new Fault('INVALID_ARGUMENT', `${field.name} must be an array.`)
    if (field.repeated) message[field.name] = (given as unknown[]).map(one)
    else if (field instanceof protobuf.MapField)
      message[field.name] = strings(field.name, given)
    else message[field.name] = one(given)
  }
  return message
}

const INTEGERS = ['int32', 'int64', 'uint32', 'uint64']

function bytes(name: string, value: unknown): Buffer {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value))
    throw new Fault('INVALID_ARGUMENT', `${name} must be base64.`)
  const length = value.replace(/=+$/, '').length
  if (length % 4 === 1) throw new Fault('INVALID_ARGUMENT', `${name} is cut off base64.`)
  return Buffer.from(value, 'base64')
}

function bool(name: string, value: unknown): boolean {
  if (value === true || value === 'true') return true
  if (value === false || value === 'false') return false
  throw new Fault('INVALID_ARGUMENT', `${name} must be true or false.`)
}

function integer(name: string, value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number
  throw new Fault('INVALID_ARGUMENT', `${name} must be a whole number.`)
}

/** Converts a plain message to JSON, without fields that have their default value. */
export function toJson(type: protobuf.Type, message: object): Json {
  const json: Json = {}
  for (const field of type.fieldsArray) {
    const value = (message as Json)[field.name]
    if (!value || (Array.isArray(value) && value.length === 0)) continue
    const { resolvedType } = field.resolve()
    const one = (item: unknown): unknown => {
      if (field.type === 'bytes') return Buffer.from(item as Uint8Array).toString('base64')
      if (!(resolvedType instanceof protobuf.Type)) return item
      if (resolvedType.name === 'Duration') return durationText(item as Time)
      if (resolvedType.name === 'Timestamp') return timeText(item as Time)
      return toJson(resolvedType, item as object)
    }
    json[field.name] = Array.isArray(value)
      ? value.map(one)
      : field instanceof protobuf.MapField
        ? value
        : one(value)
  }
  return json
}

interface Time {
  readonly seconds?: number | string
  readonly nanos?: number
}

function inner(type: protobuf.Type, value: unknown): unknown {
  if (type.name === 'Duration') return duration(String(value))
  if (type.name === 'Timestamp') return time(String(value))
  if (type.name === 'FieldMask') return { paths: String(value).split(',') }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Fault('INVALID_ARGUMENT', `A ${type.name} must be a JSON object.`)
  return fromJson(type, value as Json)
}

function duration(text: string): Time {
  const [, whole, fraction = ''] = /^(\d+)(?:\.(\d{1,9}))?s$/.exec(text) ?? []
  if (whole === undefined)
    throw new Fault('INVALID_ARGUMENT', `Not a duration such as "3.5s": ${text}`)
  return { seconds: Number(whole), nanos: Number(fraction.padEnd(9, '0')) }
}

function time(text: string): Time {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new Fault('INVALID_ARGUMENT', `Not a time: ${text}`)
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 }
}

function durationText({ seconds = 0, nanos = 0 }: Time): string {
  const fraction = nanos ? `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}` : ''
  return `${seconds}${fraction}s`
}

function timeText({ seconds = 0, nanos = 0 }: Time): string {
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return nanos ? `${whole}.${String(nanos).padStart(9, '0')}Z` : `${whole}Z`
}

function strings(name: string, value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Fault('INVALID_ARGUMENT', `${name} must be a JSON object.`)
  for (const [key, item] of Object.entries(value))
    if (typeof item !== 'string')
      throw new Fault('INVALID_ARGUMENT', `${name}.${key} must be a string.`)
  return value as Record<string, string>
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
