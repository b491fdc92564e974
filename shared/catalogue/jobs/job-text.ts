import type { RunAccepted } from '../../contracts/messages/run.ts'
import { canonicalRequestId } from '../../contracts/names.ts'
import type { JobRow, JobVerdict } from './job-row.ts'

/** The columns of `job` that are JSON, and those that say what the JSON leaves out. */
export interface JobText {
  readonly request_id: string
  readonly asset_guid: string
  readonly run: number
  readonly revision: string | null
  readonly accepted_at: Date
  readonly request: Partial<RunAccepted['request']>
  readonly wanted: Readonly<Record<string, number>>
  readonly verdicts: Readonly<Record<string, VerdictText>>
}

/** A verdict, without what it shares with the row: state `made`, and run, revision and acceptance of the job. */
type VerdictText = Pick<JobVerdict, 'version'> & Partial<JobVerdict>

/** The request of a job, without what other columns say: there are millions of them. */
export function requestText({ request, wanted }: JobRow): JobText['request'] {
  const { asset_guid: _, request_id, derivative_assets, ...rest } = request
  const assets = Object.keys(Object.fromEntries(wanted))
  return {
    ...rest,
    ...(canonicalRequestId(request_id) === request_id ? {} : { request_id }),
    ...(`${derivative_assets}` === `${assets}` ? {} : { derivative_assets }),
  }
}

export function requestOf(
  columns: Pick<JobText, 'request_id' | 'asset_guid' | 'request' | 'wanted'>,
): RunAccepted['request'] {
  const { request_id, asset_guid, request, wanted } = columns
  return { request_id, asset_guid, derivative_assets: Object.keys(wanted), ...request }
}

/** The verdicts of a job, each without what the row says as well. `revision`: that of the row. */
export function verdictsText(row: JobRow, revision: string | null): JobText['verdicts'] {
  const texts = [...row.verdicts].map(([asset, verdict]) => {
    const { state, run, revision: of, accepted, ...rest } = verdict
    const text = {
      ...rest,
      ...(state === 'made' ? {} : { state }),
      ...(run === row.run ? {} : { run }),
      ...(of === revision ? {} : { revision: of }),
      ...(Date.parse(accepted) === Date.parse(row.accepted) ? {} : { accepted }),
    }
    return [asset, text as VerdictText] as const
  })
  return Object.fromEntries(texts)
}

export function verdictsOf(
  columns: Pick<JobText, 'run' | 'revision' | 'accepted_at' | 'verdicts'>,
): Map<string, JobVerdict> {
  const { run, revision, accepted_at, verdicts } = columns
  const shared = { state: 'made', run, revision, accepted: accepted_at.toISOString() }
  return new Map(
    Object.entries(verdicts).map(([asset, text]) => [
      asset,
      { ...shared, ...text } as JobVerdict,
    ]),
  )
}
