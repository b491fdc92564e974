/** The stages with topics for each route. */
export const STAGES = ['stage', 'analyze', 'encode'] as const
export type Stage = (typeof STAGES)[number]

/** The steps that a track passes, in order. */
export const CHAIN = ['ingest', ...STAGES, 'publish'] as const

/** The stages that make derivative assets. */
export type MakingStage = Exclude<Stage, 'stage'>

/** The budget of a step: its 99th percentile, wall-clock ms on one full core. */
export const BUDGET_MS = 10_000
/** The hard limit, ms of a step's own time; then it is given back. Waiting for a store or a core is not its own time. */
export const HARD_LIMIT_MS = 13_000
/** The limit of a step's time on the clock, ms: Pub/Sub's client extends a lease for one hour at most. */
export const LONGEST_STEP_MS = 50 * 60_000
