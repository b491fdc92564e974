import { Type } from 'typebox'
import { defineMessage, type MessageOf } from '../message.ts'
import { Warnings } from './warning.ts'

/**
 * publish → the outside: one message per job and run, and one more, under another `id`, when a job is widened by more
 * assets. Any copy of a message carries the same `id`.
 */
export const Published = defineMessage('published@1', {
  /** The same on every copy: drop what you have seen. */
  id: Type.String(),
  request_id: Type.String(),
  asset_guid: Type.String(),
  release_id: Type.Optional(Type.Integer()),
  asset_id: Type.Optional(Type.Integer()),
  run: Type.Integer({ minimum: 1 }),
  state: Type.Union([Type.Literal('done'), Type.Literal('partial'), Type.Literal('failed')]),
  revision: Type.Union([Type.String(), Type.Null()]),
  /** What is missing or wrong in the master of that revision; absent: nothing that is known. */
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
