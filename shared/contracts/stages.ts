/** The stages that each route has topics of its own for. */
export const STAGES = ['stage', 'analyze', 'encode'] as const
export type Stage = (typeof STAGES)[number]

/** The steps that a track passes, in their order. */
export const CHAIN = ['ingest', ...STAGES, 'publish'] as const

/** The stages that make derivative assets. */
export type MakingStage = 'analyze' | 'encode'

/** What a step may cost at the 99th percentile, wall-clock ms on one full core. */
export const BUDGET_MS = 10_000
/** When a step is stopped and given back, ms of its own time: what it waits for a slow store or a core is not its own. */
export const HARD_LIMIT_MS = 13_000
/** When a step is stopped however it was kept waiting, ms: Pub/Sub's client extends a lease for an hour at most. */
export const LONGEST_STEP_MS = 50 * 60_000
