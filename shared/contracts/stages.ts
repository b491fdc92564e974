/** A stage of a route: its name is that of its service, of its folder and, with the route, of its topic. */
interface StageSpec {
  /** What it does, in a few words for people. */
  readonly does: string
  /** Whether it makes derivative assets. Those of a plan pass the making stages in the order of the table. */
  readonly makes: boolean
  /** Whether its process runs ffmpeg. */
  readonly ffmpeg: boolean
  /** Steps under way at once for each core. More than one: most of its steps wait for stores. */
  readonly stepsPerCore: number
  /** How often a drill kills its process, relative to the others. */
  readonly weight: number
}

/**
 * The stages with topics for each route, in the order in which a track passes them. A new one is a row here, its folder
 * in services/, and its manifests.
 */
export const STAGE_SPECS = {
  stage: { does: 'reads masters', makes: false, ffmpeg: true, stepsPerCore: 25, weight: 2 },
  analyze: {
    does: 'tempo, key, loudness',
    makes: true,
    ffmpeg: false,
    stepsPerCore: 1,
    weight: 3,
  },
  encode: { does: 'audio, waveform', makes: true, ffmpeg: true, stepsPerCore: 1, weight: 3 },
} as const satisfies Readonly<Record<string, StageSpec>>

type Specs = typeof STAGE_SPECS
export type Stage = keyof Specs
/** The stages that make derivative assets. */
export type MakingStage = { [S in Stage]: Specs[S]['makes'] extends true ? S : never }[Stage]

export const STAGES = Object.keys(STAGE_SPECS) as readonly Stage[]
export const MAKING_STAGES = STAGES.filter((stage) => STAGE_SPECS[stage].makes) as MakingStage[]

/** The steps that a track passes, in order. */
export const CHAIN = ['ingest', ...STAGES, 'publish'] as const
export type ChainStep = (typeof CHAIN)[number]

/** What each step of the chain does, in a few words for people. */
export const DOES: Readonly<Record<ChainStep, string>> = {
  ingest: 'takes jobs',
  ...perStage((stage) => STAGE_SPECS[stage].does),
  publish: 'records, announces',
}

/** A record with a value for each stage. */
export function perStage<T>(value: (stage: Stage) => T): Record<Stage, T> {
  return recordOf(STAGES, value)
}

/** A record with a value for each stage that makes assets. */
export function perMakingStage<T>(value: (stage: MakingStage) => T): Record<MakingStage, T> {
  return recordOf(MAKING_STAGES, value)
}

function recordOf<S extends string, T>(
  names: readonly S[],
  value: (name: S) => T,
): Record<S, T> {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<S, T>
}

/** The making stage at which a plan begins, or goes on after `done`: the first with steps. Undefined: it has ended. */
export function nextStage(
  steps: Readonly<Record<MakingStage, readonly unknown[]>>,
  done?: MakingStage,
): MakingStage | undefined {
  const left = done === undefined ? 0 : MAKING_STAGES.indexOf(done) + 1
  return MAKING_STAGES.slice(left).find((stage) => steps[stage].length > 0)
}

/** The budget of a step: its 99th percentile, wall-clock ms on one full core. */
export const BUDGET_MS = 10_000
/** The hard limit, ms of a step's own time; then it is given back. Waiting for a store or a core is not its own time. */
export const HARD_LIMIT_MS = 13_000
/** The limit of a step's time on the clock, ms: Pub/Sub's client extends a lease for one hour at most. */
export const LONGEST_STEP_MS = 50 * 60_000
