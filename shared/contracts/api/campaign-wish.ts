import { type Static, Type } from 'typebox'
import { ASSET_ID_PATTERN, CAMPAIGN_ID_PATTERN, TEXT_PATTERN } from '../names.ts'
import { TenantName } from '../tenants.ts'
import { WARNINGS } from '../warnings.ts'
import { Budget } from './campaign.ts'
import { Nullable } from './response.ts'
import { TRACK_STATES } from './track.ts'

// Requests, which keep to patterns that need Node: the page imports the responses alone.

export const CampaignId = Type.String({
  pattern: CAMPAIGN_ID_PATTERN,
  description: 'The id of the campaign, which is also the request_id of its jobs.',
  examples: ['campaign-0mbwd2k5h0q3x'],
})

const Assets = Type.Array(Type.String({ pattern: ASSET_ID_PATTERN }), {
  minItems: 1,
  maxItems: 100,
  uniqueItems: true,
})
const Amount = Type.Number({ minimum: 0, exclusiveMaximum: 1e6 })
const Share = Type.Number({ minimum: 0, maximum: 1 })

/** What tracks must be, under the names of the query of GET /v1/tracks. */
export const QuestionFilter = Type.Object(
  {
    bpm_from: Type.Optional(Amount),
    bpm_to: Type.Optional(Amount),
    bpm_confidence_from: Type.Optional(Share),
    key_confidence_from: Type.Optional(Share),
    seconds_from: Type.Optional(Amount),
    seconds_to: Type.Optional(Amount),
    asset: Type.Optional(Type.String({ pattern: ASSET_ID_PATTERN })),
    state: Type.Optional(Type.Enum([...TRACK_STATES])),
    warning: Type.Optional(Type.Enum(['any', 'none', ...Object.keys(WARNINGS)])),
    q: Type.Optional(Type.String({ minLength: 1, maxLength: 200, pattern: TEXT_PATTERN })),
  },
  { additionalProperties: false, title: 'QuestionFilter' },
)
export type QuestionFilter = Static<typeof QuestionFilter>

const Question = Type.Object(
  {
    stale: Type.Optional({
      ...Assets,
      description: 'Tracks that have one of these assets in an older version alone.',
    }),
    lacks: Type.Optional({
      ...Assets,
      description: 'Tracks that lack one of these assets, and of which it has not failed.',
    }),
    filter: Type.Optional(QuestionFilter),
  },
  {
    additionalProperties: false,
    title: 'Question',
    description:
      'Which tracks: one of what is `stale` or `lacks`, if given, and all of the `filter`. What is asked for of each is its stale and missing ones of these assets, unless the campaign names `derivative_assets`. At least one property has to be given.',
  },
)

const name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: TEXT_PATTERN,
  description: 'For people.',
})
const weight = Type.Number({
  exclusiveMinimum: 0,
  maximum: 1000,
  description:
    'Its part of what the campaigns of its tenant get, beside the others; 1 by default.',
})
const budget = Nullable(Budget, {
  description:
    'When it has spent that much it is paused (BUDGET); null, the default: no limit.',
})
const rate = Nullable(Type.Number({ exclusiveMinimum: 0, maximum: 1e6 }), {
  description: 'The most items that are released in a minute; null, the default: no limit.',
})

/** POST /v1/campaigns as JSON. */
export const CampaignWish = Type.Object(
  {
    name,
    manifest: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 2048,
        pattern: TEXT_PATTERN,
        description:
          'The URI of a manifest within the prefixes of the masters: EncodeJobs, one a line, without `request_id` and `lane`; or CSV with a header where its name ends with .csv.',
      }),
    ),
    question: Type.Optional(Question),
    failed_of: Type.Optional({
      ...CampaignId,
      description: 'A campaign, of which all items that have failed are to be tried again.',
    }),
    derivative_assets: Type.Optional({
      ...Assets,
      description:
        'The assets of items that do not name any. All available ones by default; of a question, what is stale or missing.',
    }),
    start: Type.Optional(
      Type.Boolean({
        description: 'Whether it runs as soon as it is enumerated; false by default.',
      }),
    ),
    weight: Type.Optional(weight),
    rate: Type.Optional(rate),
    budget: Type.Optional(budget),
    tenant: Type.Optional(
      TenantName('On whose account; that of the token by default, and none else with a token.'),
    ),
  },
  { additionalProperties: false, title: 'CampaignWish' },
)
export type CampaignWish = Static<typeof CampaignWish>

/** PATCH /v1/campaigns/{id}. */
export const CampaignChange = Type.Object(
  {
    name: Type.Optional(name),
    weight: Type.Optional(weight),
    rate: Type.Optional(rate),
    budget: Type.Optional(budget),
  },
  { additionalProperties: false, minProperties: 1, title: 'CampaignChange' },
)
export type CampaignChange = Static<typeof CampaignChange>
