import { Type } from 'typebox'
import { defineMessage, type MessageOf } from '../message.ts'
import { Warnings } from '../warning.ts'

/**
 * publish → subscribers outside: one message per job and run, and another one, with another `id`, when further assets
 * are added to a job. All copies of a message have the same `id`.
 */
export const Published = defineMessage('published@1', {
  /** The same on every copy: drop messages whose id you have seen. */
  id: Type.String(),
  request_id: Type.String(),
  asset_guid: Type.String(),
  release_id: Type.Optional(Type.Integer()),
  asset_id: Type.Optional(Type.Integer()),
  run: Type.Integer({ minimum: 1 }),
  state: Type.Union([Type.Literal('done'), Type.Literal('partial'), Type.Literal('failed')]),
  revision: Type.Union([Type.String(), Type.Null()]),
  /** The warnings about the master of that revision; absent: none. */
  warnings: Warnings,
  assets: Type.Array(
    Type.Union([
      Type.Object(
        {
          asset: Type.String(),
          version: Type.Integer(),
          state: Type.Literal('made'),
          /** Object URIs by extension. */
          uris: Type.Record(Type.String(), Type.String()),
          result: Type.Optional(Type.Unknown()),
        },
        { additionalProperties: false },
      ),
      Type.Object(
        {
          asset: Type.String(),
          version: Type.Integer(),
          state: Type.Literal('failed'),
          code: Type.String(),
          sentence: Type.String(),
        },
        { additionalProperties: false },
      ),
    ]),
  ),
})
export type Published = MessageOf<typeof Published>
