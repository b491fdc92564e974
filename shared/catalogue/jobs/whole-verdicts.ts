import type { Query } from '../database.ts'
import { type AssetKey, readMade } from '../tracks/asset-table.ts'
import type { JobVerdict, WholeVerdict } from './job-row.ts'

/** Verdicts of one track, by asset; null: none yet. */
interface OfTrack<Verdict> {
  readonly track: string
  readonly verdicts: Readonly<Record<string, Verdict>>
}

/** The same verdicts in the same order, each with the files and the result of what was made. */
export async function wholeVerdicts<Verdict extends JobVerdict | null>(
  query: Query,
  jobs: readonly OfTrack<Verdict>[],
): Promise<readonly Readonly<Record<string, WholeVerdict | Extract<Verdict, null>>>[]> {
  const keys = jobs.flatMap(({ track, verdicts }) =>
    Object.entries(verdicts).flatMap(([asset, verdict]) => keyOf(track, asset, verdict)),
  )
  const made = new Map((await readMade(query, keys)).map((each) => [nameOf(each), each]))
  return jobs.map(({ track, verdicts }) => {
    const whole = Object.entries(verdicts).map(([asset, verdict]) => {
      if (verdict?.state !== 'made') return [asset, verdict] as const
      const [key] = keyOf(track, asset, verdict)
      const { files = {}, result } = (key && made.get(nameOf(key))) ?? {}
      const known = { files, ...(result === undefined ? {} : { result }) }
      return [asset, { ...verdict, ...known }] as const
    })
    return Object.fromEntries(whole) as Record<string, WholeVerdict | Extract<Verdict, null>>
  })
}

/** The key of an asset that was made; empty for any other verdict, and where no master is known. */
function keyOf(track: string, asset: string, verdict: JobVerdict | null): AssetKey[] {
  if (verdict?.state !== 'made' || verdict.revision === null) return []
  const { revision, version } = verdict
  return [{ track, revision, asset, version }]
}

function nameOf({ track, revision, asset, version }: AssetKey): string {
  return `${track} ${revision} ${asset} ${version}`
}
