import { type Static, Type } from 'typebox'
import { Campaign, CampaignPage, RefusedPage } from '#shared/contracts/api/campaign.ts'
import {
  CampaignChange,
  CampaignId,
  CampaignWish,
} from '#shared/contracts/api/campaign-wish.ts'
import { PageSize } from '#shared/contracts/api/parameters.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { ASSET_ID_PATTERN } from '#shared/contracts/names.ts'
import { TenantName } from '#shared/contracts/tenants.ts'
import { LINE_TYPES } from '../http/bodies.ts'
import { JSON_TYPE } from '../http/json-body.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const tags = ['campaigns']
/** What a manifest may be posted as, beside lines of EncodeJobs. */
export const CSV_TYPE = 'text/csv'

const Params = Type.Object({ id: CampaignId })
export type Params = Static<typeof Params>

/** The settings of a campaign whose manifest is the body. */
export const LinesQuery = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        description: 'Of a manifest in the body: for people. Its id by default.',
        examples: ['the catalogue'],
      }),
    ),
    derivative_assets: Type.Optional(
      Type.String({
        pattern: `${ASSET_ID_PATTERN.slice(0, -1)}(,${ASSET_ID_PATTERN.slice(1, -1)})*$`,
        description: 'Of a manifest in the body: the assets of lines that do not name any.',
        examples: ['bpm,key'],
      }),
    ),
    start: Type.Optional(
      Type.Enum(['0', '1'], {
        description: 'Of a manifest in the body: whether it runs as soon as it is enumerated.',
        examples: ['1'],
      }),
    ),
    weight: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1000,
        description: 'Of a manifest in the body: its weight.',
      }),
    ),
    rate: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1e6,
        description: 'Of a manifest in the body: items a minute at most.',
      }),
    ),
    tenant: Type.Optional(TenantName('Of a manifest in the body: on whose account.')),
  },
  { additionalProperties: false },
)
export type LinesQuery = Static<typeof LinesQuery>

const PageQuery = Type.Object(
  {
    limit: PageSize,
    page: Type.Optional(
      Type.String({
        pattern: '^\\d{1,15}$',
        description: 'As the link `next` of the page before has it.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type PageQuery = Static<typeof PageQuery>

export const ReasonBody = Type.Object(
  {
    reason: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1000,
        description: 'Why; shown with the campaign, and in the history of its tracks.',
      }),
    ),
  },
  { additionalProperties: false, title: 'CampaignReason' },
)
export type ReasonBody = Static<typeof ReasonBody>

export const create = {
  operationId: 'createCampaign',
  tags,
  summary: 'Create a campaign',
  description: [
    'A campaign is a frozen list of tracks that is worked off in the lane `backfill`. The list comes from a manifest in a store, from a question to the catalogue, or from the body: EncodeJobs without `request_id` and `lane`, one a line, or a CSV with a header, of any length; the query then has the settings.',
    'A 202 means that the campaign is there. Its source is read afterwards (`enumerating`); then it is a `draft` until it is started, or runs at once where `start` says so. Lines that cannot become items are listed by GET /v1/campaigns/{id}/refused; more than 100 of the first 10,000 pause it.',
    'Its id is the request_id of all its jobs.',
  ].join('\n'),
  querystring: LinesQuery,
  body: {
    content: {
      [JSON_TYPE]: {
        schema: {
          ...CampaignWish,
          examples: [{ name: 'bpm for all', question: { stale: ['bpm'], lacks: ['bpm'] } }],
        },
      },
      [LINE_TYPES[0] as string]: {
        schema: {
          ...EncodeJob.schema,
          title: 'CampaignLine',
          examples: [{ asset_guid: 'example-track', derivative_assets: ['bpm'] }],
        },
      },
      [CSV_TYPE]: { schema: { type: 'string', examples: ['asset_guid\nexample-track\n'] } },
    },
  },
  response: { 202: jsonResponse('The campaign.', Campaign), ...refused },
}

export const list = {
  operationId: 'listCampaigns',
  tags,
  summary: 'List campaigns',
  description: 'The latest first.',
  querystring: PageQuery,
  response: { 200: jsonResponse('A page of campaigns.', CampaignPage), ...refused },
}

export const show = {
  operationId: 'getCampaign',
  tags,
  summary: 'Show a campaign',
  description:
    'How far it is, what has become of its items, and when it will be done at its present pace.',
  params: Params,
  response: { 200: jsonResponse('The campaign.', Campaign), ...refused },
}

export const showRefused = {
  operationId: 'listRefusedItems',
  tags,
  summary: 'List what of a campaign was refused',
  description:
    'Lines of its manifest that could not become items, and items that could not be released.',
  params: Params,
  querystring: PageQuery,
  response: { 200: jsonResponse('A page of refusals.', RefusedPage), ...refused },
}

export const change = {
  operationId: 'changeCampaign',
  tags,
  summary: 'Change the name, the weight, the rate or the budget of a campaign',
  description: 'Also while it runs; what is in the queue already is not taken back.',
  params: Params,
  body: {
    content: { [JSON_TYPE]: { schema: { ...CampaignChange, examples: [{ rate: 600 }] } } },
  },
  response: { 200: jsonResponse('The campaign.', Campaign), ...refused },
}

export const forecast = {
  operationId: 'forecastCampaign',
  tags,
  summary: 'Forecast what a campaign costs',
  description:
    'Really runs 200 of its items, as a campaign of its own, and says what all of them cost: `forecast`, a quarter of a minute after the sample has ended. The list must be complete. Asking twice is the same as asking once.',
  params: Params,
  body: { content: { [JSON_TYPE]: { schema: { type: 'object', examples: [{}] } } } },
  response: { 202: jsonResponse('The campaign.', Campaign), ...refused },
}

const MOVE_WORDS = {
  start: {
    summary: 'Start a campaign',
    description:
      'A draft runs; one whose source is still being read runs as soon as that is done.',
  },
  pause: {
    summary: 'Pause a campaign',
    description:
      'Nothing more is released, and what is in the queue is withdrawn: no step of it begins any more within seconds, and what has been made stays made.',
  },
  resume: {
    summary: 'Resume a campaign',
    description:
      'One that is paused or cancelled goes on. What was withdrawn comes first. Resuming one with too many refused lines accepts that.',
  },
  cancel: {
    summary: 'Cancel a campaign',
    description: 'As pausing it, for good. It can be resumed all the same.',
  },
} as const

export const move = (name: keyof typeof MOVE_WORDS) => ({
  operationId: `${name}Campaign`,
  tags,
  ...MOVE_WORDS[name],
  description: `${MOVE_WORDS[name].description} Asking twice is the same as asking once; a 409 names the state that does not allow it. The body may be left out.`,
  params: Params,
  body: {
    content: { [JSON_TYPE]: { schema: { ...ReasonBody, examples: [{ reason: 'A test.' }] } } },
  },
  response: { 202: jsonResponse('The campaign.', Campaign), ...refused },
})
