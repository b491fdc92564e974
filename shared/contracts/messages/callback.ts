import { Type } from 'typebox'
import { TRACK_STATES } from '../api/track.ts'
import { defineMessage, type MessageOf } from '../message.ts'

const Ended = TRACK_STATES.filter((state) => state !== 'running')

/**
 * publish → subscribers outside: something is complete. All copies of a message have the same `id`; when more of the same
 * is asked for, or something that failed is redriven, it is complete once more, under another `id`.
 */
export const Callback = defineMessage('callback@1', {
  /** The same on every copy: drop messages whose id you have seen. */
  id: Type.String(),
  /** No job of the release has been open for a while. */
  type: Type.Literal('release.done'),
  /** When that became so, ISO 8601. */
  at: Type.String({ format: 'date-time' }),
  release_id: Type.Integer(),
  state: Type.Union(Ended.map((state) => Type.Literal(state))),
  /** How many of its tracks are in which state. */
  tracks: Type.Object(
    Object.fromEntries(Ended.map((state) => [state, Type.Integer({ minimum: 0 })])),
    { additionalProperties: false },
  ),
  /** Present if not all of its tracks were counted, because it has too many jobs. */
  is_more: Type.Optional(Type.Literal(true)),
})
export type Callback = MessageOf<typeof Callback>
