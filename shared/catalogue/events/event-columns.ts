import type { StepEvent } from '../../contracts/messages/event.ts'
import { clipped, instant, uuid, whole } from '../parameters.ts'

/** The columns of an event with their types, by their names in its message. */
const TYPES: Readonly<Record<keyof Omit<StepEvent, 'request' | 'accepted'>, string>> = {
  id: 'uuid',
  at: 'timestamptz',
  step: 'text',
  verdict: 'text',
  job: 'text',
  track: 'text',
  run: 'bigint',
  route: 'text',
  attempt: 'bigint',
  units: 'text[]',
  worker: 'text',
  ms: 'double precision',
  cpu_ms: 'double precision',
  bytes_read: 'bigint',
  bytes_written: 'bigint',
  bytes_from_cloud: 'bigint',
  bytes_to_cloud: 'bigint',
  store_operations: 'bigint',
  code: 'text',
  sentence: 'text',
  warnings: 'jsonb',
}

/** SQL for the columns of an event, by name, and with their types. */
export const EVENT_COLUMNS = Object.keys(TYPES).join(', ')
export const TYPED_EVENT_COLUMNS = Object.entries(TYPES)
  .map(([name, type]) => `${name} ${type}`)
  .join(', ')

/** An event as a row. */
export function eventRow({ request: _, accepted: __, ...event }: StepEvent): object {
  const { id, at, job, track } = event
  const fit = Object.entries(event).map(([name, value]) => [
    name,
    typeof value === 'number' && TYPES[name as keyof typeof TYPES] === 'bigint'
      ? whole(value)
      : value,
  ])
  return {
    ...Object.fromEntries(fit),
    id: uuid(id),
    at: instant(at),
    job: job && clipped(job, 128),
    track: track && clipped(track, 256),
  }
}

/** A row as an event. */
export function eventOf({ at, ...rest }: EventRow): StepEvent {
  const known = Object.entries(rest).filter(([, value]) => value !== null)
  return { ...Object.fromEntries(known), at: at.toISOString() } as StepEvent
}

/** A row of `EVENT_COLUMNS`. */
export type EventRow = { readonly at: Date } & Record<string, unknown>
