import { type Static, Type } from 'typebox'
import { CancelReason } from '#shared/contracts/api/cancellation.ts'
import { EXAMPLE_RELEASE_ID, PageSize } from '#shared/contracts/api/parameters.ts'
import { ReleaseCancelled, ReleaseDetail, ReleasePage } from '#shared/contracts/api/release.ts'
import { TRACK_STATES } from '#shared/contracts/api/track.ts'
import { ASSET_GUID_PATTERN } from '#shared/contracts/names.ts'
import { JSON_TYPE } from '../http/json-body.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const tags = ['releases']

const Params = Type.Object({
  release_id: Type.String({
    pattern: '^(?:0|-?[1-9]\\d{0,15})$',
    description: 'As jobs name it: a whole number.',
    examples: [`${EXAMPLE_RELEASE_ID}`],
  }),
})
export type Params = Static<typeof Params>

const ListQuery = Type.Object(
  {
    state: Type.Optional(
      Type.Enum([...TRACK_STATES], {
        description:
          'Of the release. A page looks at 2,000 releases at most, so that one before the last may be short, or empty.',
      }),
    ),
    limit: PageSize,
    page: Type.Optional(
      Type.String({
        pattern: '^\\d{1,14},(?:0|-?[1-9]\\d{0,15})$',
        description: 'As the link `next` of the page before has it.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type ListQuery = Static<typeof ListQuery>

const TracksQuery = Type.Object(
  {
    limit: PageSize,
    page: Type.Optional(
      Type.String({
        pattern: ASSET_GUID_PATTERN,
        description: 'As the link `next` of the page before has it.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type TracksQuery = Static<typeof TracksQuery>

export const CancelBody = Type.Object(
  {
    reason: Type.Optional(CancelReason),
  },
  { additionalProperties: false, title: 'CancelRelease' },
)
export type CancelBody = Static<typeof CancelBody>

export const list = {
  operationId: 'listReleases',
  tags,
  summary: 'List releases',
  description:
    'The releases that jobs have named by `release_id`, those that changed last first. One that changes while pages are read goes to the front.',
  querystring: ListQuery,
  response: { 200: jsonResponse('A page of releases.', ReleasePage), ...refused },
}

export const show = {
  operationId: 'getRelease',
  tags,
  summary: 'Show a release',
  description:
    'What has become of its tracks, and a page of them. A track is in a release when a job over it names the release, and its state there is that of the latest of these jobs.',
  params: Params,
  querystring: TracksQuery,
  response: { 200: jsonResponse('The release.', ReleaseDetail), ...refused },
}

export const cancel = {
  operationId: 'cancelRelease',
  tags,
  summary: 'Cancel a release',
  description: [
    'Everything that names the release and was accepted until now is cancelled, of whatever request: as POST /v1/jobs/{request_id}/cancel does it.',
    'What was made stays made. Posted again, a cancelled job goes on with what is left. Asking twice is the same as asking once.',
    'A 409 says that all of it has ended. The body may be left out.',
  ].join('\n'),
  params: Params,
  body: {
    content: {
      [JSON_TYPE]: { schema: { ...CancelBody, examples: [{ reason: 'The wrong masters.' }] } },
    },
  },
  response: { 202: jsonResponse('What was cancelled.', ReleaseCancelled), ...refused },
}
