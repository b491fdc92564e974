import { Type } from 'typebox'
import type { ResponseOf } from './response.ts'

const Tracks = (description: string) => Type.Integer({ description })

const StaleAsset = Type.Object(
  {
    asset: Type.String({ description: 'The id of the derivative asset.' }),
    title: Type.String({ description: 'For people.' }),
    version: Type.Integer({ description: 'The version that is made now.' }),
    current: Tracks('Tracks that have it in this version, or in a newer one.'),
    stale: Tracks('Tracks that have it in an older version alone.'),
    older: Type.Array(
      Type.Object(
        { version: Type.Integer(), tracks: Type.Integer() },
        { title: 'OlderVersion' },
      ),
      { description: 'The stale ones by their newest version, the newest first.' },
    ),
    missing: Tracks('Tracks that do not have it, and of which it has not failed.'),
    failed: Tracks('Tracks of which this version has failed for good. They are not stale.'),
  },
  { title: 'StaleAsset' },
)

/** GET /v1/stale. */
export const Stale = Type.Object(
  { assets: Type.Array(StaleAsset) },
  {
    title: 'Stale',
    examples: [
      {
        assets: [
          {
            asset: 'bpm',
            title: 'Tempo',
            version: 3,
            current: 812_000,
            stale: 41_200,
            older: [
              { version: 2, tracks: 41_000 },
              { version: 1, tracks: 200 },
            ],
            missing: 90,
            failed: 12,
          },
        ],
      },
    ],
  },
)
export type Stale = ResponseOf<typeof Stale>
