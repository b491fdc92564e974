import { Type } from 'typebox'
import { Board } from './board.ts'
import { JsonText, type ResponseOf } from './response.ts'
import { TrackLine } from './track.ts'

const BoardEvent = Type.Object(
  {
    event: Type.Literal('board'),
    data: JsonText(Board, { description: 'What GET /v1/board has.' }),
  },
  { title: 'BoardEvent' },
)

const TrackEvent = Type.Object(
  {
    event: Type.Literal('track'),
    id: Type.String({
      pattern: '^[0-9]{1,16}$',
      description:
        'When the track changed, µs since 1970. Sent as Last-Event-ID, it continues the stream.',
    }),
    data: JsonText(TrackLine, { description: 'A line of GET /v1/tracks.' }),
  },
  { title: 'TrackEvent' },
)

/** GET /v1/live: an event of the stream, by the names of its fields. */
export const LiveEvent = Type.Union([BoardEvent, TrackEvent], { title: 'LiveEvent' })
export type LiveEvent = ResponseOf<typeof LiveEvent>
