import { type Static, Type } from 'typebox'
import { defineMessage, eitherOf, type MessageOf } from '../message.ts'
import { ASSET_GUID_PATTERN, ASSET_ID_PATTERN, jobId, ROUTE_PATTERN } from '../names.ts'
import { SAMPLE_RATE } from '../pcm-format.ts'
import { FILE_NAME, TRACK_NAME } from '../track-name.ts'
import { RequestId, WholeNumber } from './ids.ts'
import { Code, Count, EXTENSION_PATTERN, Line, MasterUri } from './place.ts'
import { RESULTS } from './result.ts'
import { Warnings } from './warning.ts'

/** No track is longer, hours: what counts samples and parts can count on it. */
export const MAX_HOURS = 1000

const MAX_SAMPLES = MAX_HOURS * 3600 * SAMPLE_RATE
const Sample = Type.Integer({ minimum: 0, maximum: MAX_SAMPLES })
const Samples = Type.Integer({ minimum: 1, maximum: MAX_SAMPLES })
/** A second to a minute: a part is held in memory. */
const PartSamples = Type.Integer({ minimum: SAMPLE_RATE, maximum: 60 * SAMPLE_RATE })
const AssetId = Type.String({ pattern: ASSET_ID_PATTERN })
/** The latest upload of a track. */
const UploadOf = Type.String({ pattern: `^upload:${ASSET_GUID_PATTERN.slice(1)}` })
const Version = Count
const MAX_BYTES = Number.MAX_SAFE_INTEGER
/** Steps, units and the like of one run: far more than a plan has. */
const Index = Type.Integer({ minimum: 0, maximum: 10_000_000 })

/** An EncodeJob as it was accepted: what was left out has been filled in. */
export const AcceptedRequest = Type.Object(
  {
    request_id: RequestId('As it was given, or minted.'),
    release_id: Type.Optional(WholeNumber('As it was given.')),
    asset_id: Type.Optional(WholeNumber('As it was given.')),
    asset_guid: Type.String({ pattern: ASSET_GUID_PATTERN }),
    derivative_assets: Type.Array(AssetId, { minItems: 1, maxItems: 1000 }),
    master_uri: Type.Optional(Line(2048)),
    site: Type.Optional(Line(64)),
    strict: Type.Optional(Type.Boolean()),
    title: Type.Optional(Type.String(TRACK_NAME)),
    artist: Type.Optional(Type.String(TRACK_NAME)),
    file_name: Type.Optional(Type.String(FILE_NAME)),
  },
  { additionalProperties: false },
)

export type AcceptedRequest = Static<typeof AcceptedRequest>

/** What every message between the services carries: whose it is, and when it was asked for. */
const envelope = {
  request: AcceptedRequest,
  job: Type.String({ pattern: '^[0-9a-f]{24}$' }),
  run: Count,
  route: Type.String({ pattern: ROUTE_PATTERN }),
  /** When the job was accepted, ISO 8601. */
  accepted: Type.String({ format: 'date-time' }),
  /** How often this run has been to ingest again because its scratch or its master had gone. */
  restarts: Index,
}

/** A job is named by its request and track: another's may not be spoken for. */
const ofItsRequest = {
  contradiction({ job, request }: { job: string; request: AcceptedRequest }) {
    const own = jobId(request.request_id, request.asset_guid)
    return job === own ? undefined : `/job is ${job}, but its request is that of ${own}`
  },
}

/** ingest → stage: a job that has been validated and routed. */
export const RunAccepted = defineMessage(
  'run-accepted@1',
  {
    ...envelope,
    /** Where to look for the master, in this order. */
    masters: Type.Array(Type.Union([MasterUri, UploadOf]), { minItems: 1, maxItems: 1000 }),
  },
  ofItsRequest,
)
export type RunAccepted = MessageOf<typeof RunAccepted>

/** One asset@version over one sample range [start, end). */
const Unit = Type.Object(
  { asset: AssetId, version: Version, start: Sample, end: Sample },
  { additionalProperties: false },
)

/** Where the 16-bit 44.1 kHz stereo samples of the track are read. */
const PcmPlace = Type.Union([
  Type.Object(
    {
      /** A conformant master, read where it lies. */
      kind: Type.Literal('in-place'),
      uri: MasterUri,
      revision: Line(256),
      /** First byte of the samples. */
      offset: Type.Integer({ minimum: 0, maximum: MAX_BYTES }),
      /** AIFF is big-endian. */
      bigEndian: Type.Boolean(),
      samples: Samples,
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      /** WAV parts in scratch, each `partSamples` long but for the last. */
      kind: Type.Literal('staged'),
      partSamples: PartSamples,
      samples: Samples,
    },
    { additionalProperties: false },
  ),
])

/** The master that a run was planned for. */
const Master = Type.Object(
  {
    uri: MasterUri,
    revision: Type.String({ pattern: '^[a-z0-9]{1,64}$' }),
    samples: Samples,
    /** What the master is, e.g. `WAV 24-bit 48000 Hz 2 channels`. */
    layout: Line(1000),
    /** What its tags or its file's name say that the track is called, where the job does not. */
    title: Type.Optional(Type.String(TRACK_NAME)),
    artist: Type.Optional(Type.String(TRACK_NAME)),
    warnings: Warnings,
  },
  { additionalProperties: false },
)

/** The units of a run, fixed once by `stage`. */
const Plan = Type.Object(
  {
    /** Names the plan: of what it was made from. Its intermediate objects are kept under it. */
    digest: Type.String({ pattern: '^[0-9a-f]{16}$' }),
    /** The master's, which names the assets. */
    revision: Type.String({ pattern: '^[a-z0-9]{1,64}$' }),
    pcm: PcmPlace,
    units: Type.Array(Unit),
    /** For each stage its steps, each a list of indexes of `units`. */
    analyze: Type.Array(Type.Array(Index)),
    encode: Type.Array(Type.Array(Index)),
  },
  { additionalProperties: false },
)

/** What became of one asset of a run. */
const Verdict = Type.Union([
  Type.Object(
    {
      state: Type.Literal('made'),
      version: Version,
      /** Bytes of each file, by extension. */
      files: Type.Record(
        Type.String({ pattern: EXTENSION_PATTERN }),
        Type.Integer({ minimum: 0, maximum: MAX_BYTES }),
        { additionalProperties: false, minProperties: 1, maxProperties: 100 },
      ),
      /** The small result that the catalogue keeps, for assets that have one. */
      result: Type.Optional(Type.Unknown()),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      state: Type.Literal('failed'),
      version: Version,
      code: Code,
      sentence: Type.String({ maxLength: 2000 }),
      step: Line(64),
      attempt: Count,
    },
    { additionalProperties: false },
  ),
])

const Verdicts = Type.Record(AssetId, Verdict, { additionalProperties: false, ...RESULTS })

const Digest = Type.String({ pattern: '^[0-9a-f]{16}$' })
const RevisionName = Type.String({ pattern: '^[a-z0-9]{1,64}$' })

/** stage → stage: one step of bringing a master that can't be read in place into scratch. */
export const StagingDue = defineMessage(
  'staging-due@1',
  {
    ...envelope,
    staging: Type.Object(
      {
        /** Names the plan that the parts are kept under. */
        digest: Digest,
        uri: MasterUri,
        /** Which bytes of the master, as its store pins them, and for the world. */
        pin: Line(256),
        revision: RevisionName,
        work: Type.Union([
          Type.Object(
            {
              /** Any sample can be found: the steps are ranges, and run side by side. */
              kind: Type.Literal('range'),
              samples: Samples,
              partSamples: PartSamples,
              /** Every range is so long but for the last. */
              stepSamples: Samples,
              step: Index,
            },
            { additionalProperties: false },
          ),
          Type.Object(
            {
              /** A stream that is decoded from its beginning: one step follows the other, and the last finds its end. */
              kind: Type.Literal('stream'),
              start: Sample,
              partSamples: PartSamples,
            },
            { additionalProperties: false },
          ),
        ]),
      },
      { additionalProperties: false },
    ),
  },
  ofItsRequest,
)
export type StagingDue = MessageOf<typeof StagingDue>
export type Staging = StagingDue['staging']

/** What the topic of a stage carries: a job that begins, or a step of its staging. */
export const ToStage = eitherOf(StagingDue, 'staging', RunAccepted)
export type ToStage = MessageOf<typeof ToStage>

/** stage → analyze → encode: one step of a planned run. */
export const StepDue = defineMessage(
  'step-due@1',
  {
    ...envelope,
    master: Master,
    plan: Plan,
    /** Which step of the stage this message is; the number after the last is the stage's join. */
    step: Index,
    /** What is known of the assets so far; the rest is found by name. */
    verdicts: Verdicts,
  },
  ofItsRequest,
)
export type StepDue = MessageOf<typeof StepDue>
type Plan = StepDue['plan']
export type Unit = Plan['units'][number]
export type PcmPlace = Plan['pcm']

/** → publish: all that a run was asked for has been made or has failed. */
export const RunEnded = defineMessage(
  'run-ended@1',
  {
    ...envelope,
    /** Null when the run failed before its master was read. */
    master: Type.Union([Master, Type.Null()]),
    verdicts: Verdicts,
  },
  ofItsRequest,
)
export type RunEnded = MessageOf<typeof RunEnded>
export type Verdicts = RunEnded['verdicts']
export type Verdict = Verdicts[string]
export type Master = StepDue['master']
