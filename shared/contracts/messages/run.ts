import { type Static, Type } from 'typebox'
import { LaneName } from '../lane-name.ts'
import { defineMessage, eitherOf, type MessageOf } from '../message.ts'
import { ASSET_GUID_PATTERN, ASSET_ID_PATTERN, jobId, ROUTE_PATTERN } from '../names.ts'
import { SAMPLE_RATE } from '../pcm-format.ts'
import { perMakingStage } from '../stages.ts'
import { TenantName } from '../tenants.ts'
import { FILE_NAME, TRACK_NAME } from '../track-name.ts'
import { Warnings } from '../warning.ts'
import { RequestId, WholeNumber } from './ids.ts'
import { Code, Count, EXTENSION_PATTERN, Line, MasterUri } from './place.ts'
import { RESULTS } from './result.ts'

/** The maximum length of a track, hours. Numbers of samples and parts are bounded by it. */
export const MAX_HOURS = 1000

const MAX_SAMPLES = MAX_HOURS * 3600 * SAMPLE_RATE
const Sample = Type.Integer({ minimum: 0, maximum: MAX_SAMPLES })
const Samples = Type.Integer({ minimum: 1, maximum: MAX_SAMPLES })
/** One second to one minute, because a part is held in memory. */
const PartSamples = Type.Integer({ minimum: SAMPLE_RATE, maximum: 60 * SAMPLE_RATE })
const AssetId = Type.String({ pattern: ASSET_ID_PATTERN })
/** The latest upload of a track. */
const UploadOf = Type.String({ pattern: `^upload:${ASSET_GUID_PATTERN.slice(1)}` })
const Version = Count
const MAX_BYTES = Number.MAX_SAFE_INTEGER
/** The index of a step, a unit or the like. The maximum is far more than a plan has. */
const Index = Type.Integer({ minimum: 0, maximum: 10_000_000 })

/** An EncodeJob as it was accepted, with all defaults filled in. */
export const AcceptedRequest = Type.Object(
  {
    request_id: RequestId('As it was given, or minted.'),
    release_id: Type.Optional(WholeNumber('As it was given.')),
    asset_id: Type.Optional(WholeNumber('As it was given.')),
    asset_guid: Type.String({ pattern: ASSET_GUID_PATTERN }),
    derivative_assets: Type.Array(AssetId, { minItems: 1, maxItems: 1000 }),
    master_uri: Type.Optional(Line(2048)),
    site: Type.Optional(Line(64)),
    /** Absent: `new`. All messages of the run go through the topics of this lane. */
    lane: Type.Optional(LaneName('As it was given.')),
    /** Absent: `default`. */
    tenant: Type.Optional(TenantName('On whose account the job is made.')),
    strict: Type.Optional(Type.Boolean()),
    title: Type.Optional(Type.String(TRACK_NAME)),
    artist: Type.Optional(Type.String(TRACK_NAME)),
    file_name: Type.Optional(Type.String(FILE_NAME)),
  },
  { additionalProperties: false },
)

export type AcceptedRequest = Static<typeof AcceptedRequest>

/** The fields of every message between the services: the job it belongs to, and when it was accepted. */
const envelope = {
  request: AcceptedRequest,
  job: Type.String({ pattern: '^[0-9a-f]{24}$' }),
  run: Count,
  route: Type.String({ pattern: ROUTE_PATTERN }),
  /** When the job was accepted, ISO 8601. */
  accepted: Type.String({ format: 'date-time' }),
  /** How often this run has been restarted, because its scratch was gone or its master had changed. */
  restarts: Index,
}

/** The id of a job follows from its request and track, so that a message cannot be about another job. */
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
    /** The candidates for the master, in the order in which they are tried. */
    masters: Type.Array(Type.Union([MasterUri, UploadOf]), { minItems: 1, maxItems: 1000 }),
  },
  ofItsRequest,
)
export type RunAccepted = MessageOf<typeof RunAccepted>

/** A unit of work: one asset@version over the sample range [start, end). */
const Unit = Type.Object(
  { asset: AssetId, version: Version, start: Sample, end: Sample },
  { additionalProperties: false },
)

/** Where the 16-bit 44.1 kHz stereo samples of the track are read from. */
const PcmPlace = Type.Union([
  Type.Object(
    {
      /** A conformant master, read where it lies. */
      kind: Type.Literal('in-place'),
      uri: MasterUri,
      revision: Line(256),
      /** The position of the first byte of the samples. */
      offset: Type.Integer({ minimum: 0, maximum: MAX_BYTES }),
      /** Whether the samples are big-endian, as in AIFF. */
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
    /** The format of the master, e.g. `WAV 24-bit 48000 Hz 2 channels`. */
    layout: Line(1000),
    /** The title by its tags or its file name, if the job has none. */
    title: Type.Optional(Type.String(TRACK_NAME)),
    artist: Type.Optional(Type.String(TRACK_NAME)),
    warnings: Warnings,
  },
  { additionalProperties: false },
)

/** The units of a run, fixed once by `stage`. */
const Plan = Type.Object(
  {
    /** The id of the plan: a digest of its input. Its intermediate objects are stored under this id. */
    digest: Type.String({ pattern: '^[0-9a-f]{16}$' }),
    /** The revision of the master, which is part of the names of the assets. */
    revision: Type.String({ pattern: '^[a-z0-9]{1,64}$' }),
    pcm: PcmPlace,
    units: Type.Array(Unit),
    /** The steps of each stage that makes assets; each step is a list of indexes of `units`. */
    steps: Type.Object(
      perMakingStage(() => Type.Array(Type.Array(Index))),
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

/** The verdict on one asset of a run. */
const Verdict = Type.Union([
  Type.Object(
    {
      state: Type.Literal('made'),
      version: Version,
      /** The size of each file, bytes, by extension. */
      files: Type.Record(
        Type.String({ pattern: EXTENSION_PATTERN }),
        Type.Integer({ minimum: 0, maximum: MAX_BYTES }),
        { additionalProperties: false, minProperties: 1, maxProperties: 100 },
      ),
      /** The result, which the catalogue stores, of an asset that has one. */
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
        /** The id of the plan under which the parts are stored. */
        digest: Digest,
        uri: MasterUri,
        /** Which bytes of the master, as its store pins them, and for the world. */
        pin: Line(256),
        revision: RevisionName,
        work: Type.Union([
          Type.Object(
            {
              /** Any sample can be located: the steps are ranges and run in parallel. */
              kind: Type.Literal('range'),
              samples: Samples,
              partSamples: PartSamples,
              /** The length of each range; the last one may be shorter. */
              stepSamples: Samples,
              step: Index,
            },
            { additionalProperties: false },
          ),
          Type.Object(
            {
              /** The stream is decoded from its beginning: steps run one after the other; the last one finds the end. */
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

/** The messages of the topic `stage`: a job that begins, or a step of its staging. */
export const ToStage = eitherOf(StagingDue, 'staging', RunAccepted)
export type ToStage = MessageOf<typeof ToStage>

/** From `stage` through the stages that make assets: one step of a planned run. */
export const StepDue = defineMessage(
  'step-due@1',
  {
    ...envelope,
    master: Master,
    plan: Plan,
    /** The index of the step in its stage. The index after the last one is the join of the stage. */
    step: Index,
    /** The verdicts that are known so far; the others are found by the names of objects. */
    verdicts: Verdicts,
  },
  ofItsRequest,
)
export type StepDue = MessageOf<typeof StepDue>
type Plan = StepDue['plan']
export type Unit = Plan['units'][number]
export type PcmPlace = Plan['pcm']

/** → publish: everything that a run was asked for has been made or has failed. */
export const RunEnded = defineMessage(
  'run-ended@1',
  {
    ...envelope,
    /** The master; null if the run failed before it was read. */
    master: Type.Union([Master, Type.Null()]),
    verdicts: Verdicts,
  },
  ofItsRequest,
)
export type RunEnded = MessageOf<typeof RunEnded>
export type Verdicts = RunEnded['verdicts']
export type Verdict = Verdicts[string]
export type Master = StepDue['master']

/** The fields of every message between the services. */
export type Envelope = Pick<
  RunAccepted,
  'request' | 'job' | 'run' | 'route' | 'accepted' | 'restarts'
>

/** The subject of a message, for its event. */
export function subjectOf({ job, run, route, request }: Envelope) {
  return { job, run, route, track: request.asset_guid }
}

/** The envelope of a message, for the next message of the same run. */
export function envelopeOf({
  request,
  job,
  run,
  route,
  accepted,
  restarts,
}: Envelope): Envelope {
  return { request, job, run, route, accepted, restarts }
}

/** Attributes by which people may filter or search messages. Services read the body alone. */
export function attributesOf({
  job,
  run,
  route,
}: Pick<Envelope, 'job' | 'run' | 'route'>): Record<string, string> {
  return { job, run: String(run), route }
}
