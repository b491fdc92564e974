import { Type } from 'typebox'
import {
  Dictionary,
  FailureCode,
  Instant,
  NextPage,
  Nullable,
  Remedy,
  type ResponseOf,
} from './response.ts'

/** The states of a campaign. */
export const CAMPAIGN_STATES = [
  'enumerating',
  'draft',
  'forecast',
  'running',
  'paused',
  'cancelled',
  'done',
] as const

const Spendable = (description: string) =>
  Type.Optional(Type.Number({ exclusiveMinimum: 0, description }))
export const Budget = Type.Object(
  {
    core_seconds: Spendable('Core-seconds of its steps, its sample included.'),
    usd: Spendable('What these cost in the cloud, on Spot, at the list price.'),
  },
  { additionalProperties: false, minProperties: 1, title: 'Budget' },
)
const Count = (description: string) => Type.Integer({ minimum: 0, description })

const Source = Type.Union(
  [
    Type.Object(
      { kind: Type.Literal('manifest'), uri: Type.String() },
      { title: 'ManifestSource' },
    ),
    Type.Object(
      {
        kind: Type.Literal('question'),
        stale: Type.Optional(Type.Array(Type.String())),
        lacks: Type.Optional(Type.Array(Type.String())),
        filter: Type.Optional(Dictionary(Type.Union([Type.String(), Type.Number()]))),
      },
      { title: 'QuestionSource' },
    ),
    Type.Object(
      { kind: Type.Literal('failed'), campaign: Type.String() },
      { title: 'FailedSource' },
    ),
    Type.Object(
      { kind: Type.Literal('sample'), campaign: Type.String() },
      { title: 'SampleSource' },
    ),
  ],
  { title: 'CampaignSource' },
)

const Range = { core_seconds: Type.Number(), usd: Type.Number() }
const CampaignForecast = Type.Object(
  {
    sample: Type.String({ description: 'The campaign that runs the sample.' }),
    result: Nullable(
      Type.Object(
        {
          ...Range,
          from: Type.Object(Range, { title: 'ForecastFrom' }),
          to: Type.Object(Range, { title: 'ForecastTo' }),
          sampled: Type.Integer({ description: 'Items of the sample.' }),
          seconds: Nullable(Type.Number(), {
            description:
              "The mean length of a track of the list; null: not known, and taken to be the sample's.",
          }),
        },
        {
          title: 'ForecastResult',
          description: 'It lies between `from` and `to` in nineteen of twenty cases.',
        },
      ),
      { description: 'Null until the sample has ended.' },
    ),
  },
  { title: 'CampaignForecast' },
)

/** A campaign as it stands: GET /v1/campaigns/{id}. */
export const Campaign = Type.Object(
  {
    id: Type.String({ description: 'Also the request_id of its jobs.' }),
    name: Type.String(),
    tenant: Type.String(),
    state: Type.Enum([...CAMPAIGN_STATES], {
      description:
        '`enumerating`: its source is being read; `draft`: it waits to be started; `done`: all items have ended.',
    }),
    start: Type.Boolean({ description: 'Whether it runs as soon as it is enumerated.' }),
    paused: Nullable(
      Type.Object(
        { code: FailureCode, sentence: Type.String(), remedy: Type.Optional(Remedy) },
        { title: 'PausedReason' },
      ),
      { description: 'Why it is paused; null when it is not.' },
    ),
    source: Source,
    derivative_assets: Type.Array(Type.String(), {
      description: 'The assets of items that do not name any.',
    }),
    weight: Type.Number(),
    rate: Nullable(Type.Number(), { description: 'Items a minute at most; null: no limit.' }),
    enumerated: Type.Integer({
      minimum: 0,
      maximum: 100,
      description: 'How much of its source has been read, %.',
    }),
    looked_at: Count('Lines of the manifest, or tracks of the catalogue, that have been read.'),
    items: Count('Tracks on its list.'),
    refused: Count('Lines that could not become items: GET /v1/campaigns/{id}/refused.'),
    waiting: Count('Items that are not in the queue.'),
    open: Count('Items that are in the queue or under way.'),
    done: Count('Items that have ended with all their assets.'),
    partial: Count('Items of which some assets failed.'),
    failed: Count('Items of which no asset was made.'),
    cancelled: Count('Items whose job somebody has cancelled by itself.'),
    unreleasable: Count('Items that the chain would not take when their turn came.'),
    eta: Nullable(
      Type.Object(
        {
          at: Instant('When its last item will have ended, at the pace of the last half hour.'),
          from: Instant('Not before that, most likely.'),
          to: Nullable(Instant('Not after that, most likely.'), {
            description: 'Not after that, most likely; null while the pace is too unsteady.',
          }),
        },
        { title: 'Eta' },
      ),
      { description: 'Null unless it runs, and until ten items have ended.' },
    ),
    budget: Nullable(Budget, {
      description: 'When it has spent that much it is paused (BUDGET); null: no limit.',
    }),
    spent: Type.Object(
      { core_seconds: Type.Number(), usd: Type.Number() },
      {
        title: 'Spent',
        description:
          'What its steps and those of its sample have taken, as far as that is recorded, and what that costs in the cloud.',
      },
    ),
    forecast: Nullable(CampaignForecast, {
      description:
        'What all of it costs, by a sample that is really run; null: nobody has asked.',
    }),
    by: Type.String({ description: 'Who created it.' }),
    created: Instant('When it was created.'),
    started: Nullable(Instant('When it ran first.'), {
      description: 'When it ran first; null before.',
    }),
    ended: Nullable(Instant('When it was done or cancelled.'), {
      description: 'When it was done or cancelled; null until then.',
    }),
    href: Type.String({ description: 'The address of this document.' }),
  },
  {
    title: 'Campaign',
    examples: [
      {
        id: 'campaign-0mbwd2k5h0q3x',
        name: 'bpm@3 for all',
        tenant: 'default',
        state: 'running',
        start: true,
        paused: null,
        source: { kind: 'question', stale: ['bpm'] },
        derivative_assets: ['bpm'],
        weight: 1,
        rate: null,
        enumerated: 100,
        looked_at: 853_300,
        items: 41_200,
        refused: 0,
        waiting: 30_100,
        open: 1_900,
        done: 9_180,
        partial: 0,
        failed: 20,
        cancelled: 0,
        unreleasable: 0,
        eta: {
          at: '2026-03-01T12:10:00.000Z',
          from: '2026-03-01T12:01:00.000Z',
          to: '2026-03-01T12:22:00.000Z',
        },
        budget: { usd: 500 },
        spent: { core_seconds: 12_400, usd: 0.07 },
        forecast: {
          sample: 'campaign-0mbwd2k1a9x7c',
          result: {
            ...{ core_seconds: 54_900, usd: 0.29, sampled: 200, seconds: 351.2 },
            from: { core_seconds: 52_100, usd: 0.28 },
            to: { core_seconds: 57_800, usd: 0.31 },
          },
        },
        by: 'label-desk',
        created: '2026-03-01T10:00:00.000Z',
        started: '2026-03-01T10:02:00.000Z',
        ended: null,
        href: '/v1/campaigns/campaign-0mbwd2k5h0q3x',
      },
    ],
  },
)
export type Campaign = ResponseOf<typeof Campaign>

/** GET /v1/campaigns. */
export const CampaignPage = Type.Object(
  { campaigns: Type.Array(Campaign, { description: 'The latest first.' }), next: NextPage },
  { title: 'CampaignPage' },
)
export type CampaignPage = ResponseOf<typeof CampaignPage>

/** GET /v1/campaigns/{id}/refused. */
export const RefusedPage = Type.Object(
  {
    refused: Type.Array(
      Type.Object(
        {
          line: Nullable(Type.Integer({ minimum: 1 }), {
            description: 'The line of the manifest, from 1; null where there is none.',
          }),
          asset_guid: Nullable(Type.String(), {
            description: 'Its track; null where it names none.',
          }),
          code: FailureCode,
          detail: Type.String({ description: 'What was wrong, where, and what was expected.' }),
          remedy: Type.Optional(Remedy),
          excerpt: Nullable(Type.String(), {
            description: 'How the line begins; null where it was read.',
          }),
        },
        { title: 'RefusedItem' },
      ),
    ),
    next: NextPage,
  },
  { title: 'RefusedPage' },
)
export type RefusedPage = ResponseOf<typeof RefusedPage>
