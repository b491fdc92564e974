import { MAKING_STAGES } from '../../contracts/stages.ts'

/** The progress of a job that has not ended: what its run is planned to make, and what has been made. */
export interface Progress {
  /** Whether a step has begun to work on it. */
  readonly begun: boolean
  /** The units of its plan, e.g. `aac-128@1 0-441000`; null before `stage` has made one. */
  readonly planned: readonly string[] | null
  /** The units that exist or have failed for good. */
  readonly finished: readonly string[]
}

/**
 * SQL for the `Progress` of the row `job` as one column, `progress`, from the events of its run. Storing it for every
 * job would cost more than computing it on demand.
 */
export const PROGRESS = `
  select json_build_object(
    'begun', coalesce(bool_or(verdict not in ('accepted', 'swept')), false),
    'planned', (array_agg(to_json(units) order by at desc)
      filter (where step = 'stage' and verdict = 'done' and units <> '{}'))[1],
    'finished', (
      select coalesce(json_agg(distinct unit), '[]') from event made, unnest(made.units) unit
      where made.track = job.asset_guid and made.job = job.id and made.run = job.run
        and made.step in (${MAKING_STAGES.map((stage) => `'${stage}'`).join(', ')}) and made.verdict in ('done', 'skipped', 'failed', 'again')
    )) as progress
  from event
  where event.track = job.asset_guid and event.job = job.id and event.run = job.run`
