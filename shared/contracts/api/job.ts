import { Type } from 'typebox'
import { LaneName } from '../lane-name.ts'
import { TenantName } from '../tenants.ts'
import {
  AnalysisResult,
  DeadLettered,
  Dictionary,
  FailureCode,
  Instant,
  Nullable,
  Remedy,
  type ResponseOf,
} from './response.ts'
import { Warning } from './warning.ts'

/** The states of a job; nothing follows the last four by itself. */
export const JobState = Type.Enum(
  ['queued', 'accepted', 'running', 'done', 'partial', 'failed', 'cancelled'],
  {
    description:
      '`queued`: it waits until its tenant has room. The last four are ends; `partial`: some assets failed; `cancelled`: posted again, it goes on.',
  },
)
export type JobState = ResponseOf<typeof JobState>

const asset = Type.String({ description: 'The id of the derivative asset.' })
const verdict = {
  version: Type.Integer({ description: "The version of the asset's definition." }),
  run: Type.Integer({ description: 'The run that said so.' }),
  revision: Nullable(Type.String(), {
    description: 'The revision of the master; null when it could not be read.',
  }),
}

/** An asset that was asked for and has neither been made nor failed. */
const PendingAsset = Type.Object(
  {
    asset,
    state: Type.Literal('pending'),
    units: Type.Optional(
      Type.Integer({ description: 'Units of its plan; absent while that is not known.' }),
    ),
    units_done: Type.Optional(
      Type.Integer({ description: 'How many of them are there, or have failed for good.' }),
    ),
  },
  { title: 'PendingAsset' },
)

/** An asset of a cancelled job that has neither been made nor failed. */
const CancelledAsset = Type.Object(
  { asset, state: Type.Literal('cancelled') },
  { title: 'CancelledAsset' },
)

const MadeAsset = Type.Object(
  {
    asset,
    state: Type.Literal('made'),
    ...verdict,
    files: Dictionary(Type.Integer(), { description: 'Bytes of each file, by extension.' }),
    result: Type.Optional(AnalysisResult),
  },
  { title: 'MadeAsset' },
)

const FailedAsset = Type.Object(
  {
    asset,
    state: Type.Literal('failed'),
    ...verdict,
    code: FailureCode,
    sentence: Type.String({ description: 'Why the asset failed.' }),
    remedy: Type.Optional(Remedy),
    step: Type.String({ description: 'The step that failed.' }),
    attempt: Type.Integer(),
  },
  { title: 'FailedAsset' },
)

/** An asset that a job asks for. */
const AssetStatus = Type.Union([PendingAsset, CancelledAsset, MadeAsset, FailedAsset], {
  title: 'AssetStatus',
})
export type AssetStatus = ResponseOf<typeof AssetStatus>

const Percent = Type.Integer({
  minimum: 0,
  maximum: 100,
  description: 'How much of the work is done; 100 only when everything has ended.',
})

/** One request for one track, as it stands. */
const JobStatus = Type.Object(
  {
    job: Type.String({ description: 'The id of the job: one request for one track.' }),
    asset_guid: Type.String(),
    release_id: Type.Optional(
      Type.Integer({ description: 'The release_id of the EncodeJob.' }),
    ),
    asset_id: Type.Optional(Type.Integer({ description: 'The asset_id of the EncodeJob.' })),
    state: JobState,
    percent: Percent,
    run: Type.Integer({ description: 'The number of the latest run.' }),
    route: Type.String(),
    lane: LaneName('The lane of the latest run.'),
    tenant: TenantName('On whose account it is made.'),
    revision: Nullable(Type.String(), {
      description:
        'The revision of the master that was read last; null before a master was read.',
    }),
    accepted: Instant('When the job was first accepted.'),
    ended: Nullable(Instant('When it ended.'), {
      description: 'When the job ended; null until then.',
    }),
    published: Nullable(Instant('When its end was announced.'), {
      description: 'When the end of the job was announced; null until then.',
    }),
    dead_lettered: DeadLettered,
    warnings: Type.Array(Warning, {
      description: 'The warnings of the master that was read last.',
    }),
    track: Type.String({ description: 'The address of the track.' }),
    assets: Type.Array(AssetStatus, { description: 'All assets that were asked for, by id.' }),
  },
  { title: 'JobStatus' },
)
export type JobStatus = ResponseOf<typeof JobStatus>

/** GET /v1/jobs/{request_id}. */
export const JobRequest = Type.Object(
  {
    request_id: Type.String(),
    state: JobState,
    percent: Percent,
    jobs: Type.Array(JobStatus, {
      description: 'The jobs of the request, one for each track.',
    }),
  },
  { title: 'JobRequest' },
)
export type JobRequest = ResponseOf<typeof JobRequest>
