import type { Release, ReleaseDetail } from '#shared/contracts/api/release.ts'
import { table } from '../../../terminal/table.ts'
import { printable } from '../../../terminal/text.ts'

/** The states in the order of the columns. */
const STATES = ['done', 'partial', 'failed', 'cancelled', 'running'] as const

/** A table of releases. */
export function releasesText(releases: readonly Release[]): string {
  const rows = releases.map(({ release_id, state, counts, changed }) => [
    ...[`${release_id}`, state, `${tracksOf({ counts })}`],
    ...STATES.map((each) => `${counts[each]}`),
    shownTime(changed),
  ])
  const header = ['release', 'state', 'tracks', ...STATES, 'changed (UTC)']
  return printable(table([header, ...rows]), { lines: true })
}

/** A release with a table of its tracks. */
export function releaseText(release: ReleaseDetail): string {
  const { release_id, state, counts, more, first_seen, changed, tracks } = release
  const said = STATES.filter((each) => counts[each] > 0).map(
    (each) => `${counts[each]} ${each}`,
  )
  const rows = tracks.map((each) => [
    ...[each.asset_guid, each.artist ?? '', each.title ?? '', each.state, each.request_id],
  ])
  const cells = [['track', 'artist', 'title', 'state', 'request'], ...rows]
  return [
    `release ${release_id}: ${state}`,
    `${tracksOf(release)} ${tracksOf(release) === 1 ? 'track' : 'tracks'}: ${said.join(', ')}${more ? ', of more than 10,000 jobs' : ''}`,
    `since ${shownTime(first_seen)}, changed ${shownTime(changed)} (UTC)`,
    '',
    table(cells.map((row) => row.map((cell) => printable(cell)))),
  ].join('\n')
}

function tracksOf({ counts }: Pick<Release, 'counts'>): number {
  return STATES.reduce((sum, each) => sum + counts[each], 0)
}

function shownTime(at: string): string {
  return at.slice(0, 19).replace('T', ' ')
}
