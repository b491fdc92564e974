import { createHash } from 'node:crypto'
import { openDatabase } from '#shared/catalogue/database.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import { digest } from '#shared/contracts/names.ts'
import { openStore } from '#shared/store/open.ts'
import { folderUri } from '../local/data-folder.ts'
import type { Chain } from '../local/supervisor.ts'
import type { Entry, Outcome, Outcomes } from './compare.ts'
import type { DrillTrack } from './make-tracks.ts'
import { retryDisturbed } from './retry-disturbed.ts'
import type { Witness } from './witness.ts'

/**
 * The outcomes of tracks in a chain on this machine: rows, files, announcements, dead letters.
 * @param others tracks that are no part of the comparison
 */
export async function outcomes(
  chain: Pick<Chain, 'database' | 'folder'>,
  tracks: readonly DrillTrack[],
  others: readonly DrillTrack[],
  seen: Pick<Witness, 'announced' | 'letters'>,
  signal: AbortSignal,
): Promise<Outcomes> {
  const store = folderUri(chain.folder.assets)
  const assets = await assetsBelow(store, signal)
  const database = openDatabase({ dsn: chain.database })
  const found = new Map<string, Outcome>()
  try {
    for (const track of tracks) {
      const { state, rows } = await retryDisturbed(
        () => rowsOf(database, track, signal),
        signal,
      )
      const announced = [...(seen.announced.get(track.guid) ?? [])]
      found.set(track.guid, {
        state,
        rows,
        assets: assets.get(track.guid) ?? [],
        published: announced.map(([key, { id: _, ...message }]) => {
          const { requestId } = track
          const relative = JSON.parse(
            JSON.stringify(message).replaceAll(store, '').replaceAll(requestId, ''),
          )
          // Only the order of keys depends on whether a verdict has been through the database.
          return { key: track.isItem ? 'the end' : key, value: digest(relative, 32) }
        }),
        letters: [...(seen.letters.get(track.guid) ?? [])].map((key) => ({ key, value: '' })),
      })
    }
    // Files under a name that no track has.
    const known = new Set(others.map(({ guid }) => guid))
    for (const [guid, files] of assets) {
      if (found.has(guid) || known.has(guid)) continue
      found.set(guid, { state: '', rows: [], assets: files, published: [], letters: [] })
    }
    return found
  } finally {
    await database.close()
  }
}

/** All rows of a track and its request, with the columns that are the same in every run. */
async function rowsOf(
  database: ReturnType<typeof openDatabase>,
  { guid, requestId, isItem }: DrillTrack,
  signal: AbortSignal,
): Promise<{ state: string; rows: readonly Entry[] }> {
  const all = await jobsOfRequest(database, requestId, signal)
  const track = await findTrack(database, guid, signal)
  const mine = all.filter((job) => job.track === guid)
  const rows: Entry[] = mine.map(({ job, run, state, revision, assets, ...rest }) => {
    const verdicts = Object.entries(assets).map(([asset, verdict]) => {
      if (verdict === null) return [asset, null]
      const { accepted: _, ...same } = verdict
      // At which delivery it failed depends on the kills.
      return [asset, same.state === 'failed' ? { ...same, attempt: undefined } : same]
    })
    const { setAside } = rest
    const isAnnounced = rest.announced !== null
    const value = { run, state, revision, setAside, isAnnounced, verdicts }
    return { key: isItem ? 'job' : `job ${job}`, value: JSON.stringify(value) }
  })
  if (track !== undefined) {
    const { revision, master, names } = track
    const { uri, samples, layout } = master
    const value = JSON.stringify({ revision, uri, samples, layout, names })
    rows.push({ key: 'master', value })
  }
  for (const { recorded: _, ...asset } of track?.assets ?? []) {
    rows.push({ key: `${asset.asset}@${asset.version}`, value: JSON.stringify(asset) })
  }
  return { state: mine[0]?.state ?? 'not recorded', rows }
}

/** The objects of an assets store, by track. */
async function assetsBelow(
  uri: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Entry[]>> {
  const store = openStore(uri)
  const found = new Map<string, Entry[]>()
  for await (const { name } of store.list('', { signal })) {
    const guid = name.split('/')[1] ?? ''
    const hash = createHash('sha256')
    for await (const piece of await store.read(name, { signal })) hash.update(piece)
    const files = found.get(guid) ?? []
    files.push({ key: name, value: hash.digest('hex') })
    found.set(guid, files)
  }
  return found
}
