import { saidOf } from './api.js'
import { watchable } from './watchable.js'

/** @import { Api } from './api.js' */
/** @import { Live } from './live.js' */
/** @import { TrackLine, TrackPage } from './types.d.ts' */

const PAGE_LINES = 200

/**
 * @typedef {object} Listed
 * @property {readonly TrackLine[]} lines
 * @property {string | null} next the next page; null at the end
 * @property {boolean} isLoading
 * @property {string} [fault]
 * @property {number} waiting tracks that changed and are not in the list yet
 */

/** @typedef {ReturnType<typeof createTrackList>} TrackList */

/**
 * The list of tracks, loaded page by page and kept while other views are open. A track that changes is updated
 * in place, so that nothing moves under the pointer. New tracks wait until the user asks for them, unless the
 * head of the list is in view.
 * @param {Api} api
 * @param {Live} live
 */
export function createTrackList(api, live) {
  let query = ''
  let isAtHead = true
  /** Number of lists begun so far. Responses to an older list are ignored. */
  let begun = 0
  /** @type {Map<string, TrackLine>} */
  const fresh = new Map()
  const listed = watchable(/** @type {Listed} */ (nothing(null)))

  async function more() {
    const { next, isLoading, lines } = listed.value
    if (isLoading || next === null) return
    const mine = begun
    listed.set({ ...listed.value, isLoading: true })
    try {
      const page = /** @type {TrackPage} */ (await api.get(next))
      if (mine !== begun) return
      // A track that was processed while the user scrolled comes again, at another place.
      const known = new Set(lines.map(({ asset_guid }) => asset_guid))
      const added = page.tracks.filter(({ asset_guid }) => !known.has(asset_guid))
      const { waiting } = listed.value
      const all = [...listed.value.lines, ...added]
      listed.set({ lines: all, next: page.next, isLoading: false, waiting })
    } catch (error) {
      if (mine !== begun) return
      listed.set({ ...listed.value, isLoading: false, fault: saidOf(error) })
    }
  }

  function reload() {
    begun++
    fresh.clear()
    const given = new URLSearchParams(query)
    given.set('limit', String(PAGE_LINES))
    listed.set({ ...nothing(`/v1/tracks?${given}`), lines: [] })
    return more()
  }

  live.track.watch((line) => {
    if (line === undefined) return
    const { lines } = listed.value
    const place = lines.findIndex(({ asset_guid }) => asset_guid === line.asset_guid)
    if (place >= 0) {
      listed.set({ ...listed.value, lines: lines.with(place, line) })
    } else if (query === '') {
      fresh.set(line.asset_guid, line)
      if (isAtHead) showFresh()
      else listed.set({ ...listed.value, waiting: fresh.size })
    }
  })

  function showFresh() {
    const lines = [...fresh.values()].reverse()
    fresh.clear()
    listed.set({ ...listed.value, lines: [...lines, ...listed.value.lines], waiting: 0 })
  }

  return {
    listed,
    more,
    reload,
    showFresh,
    /** @param {string} given the query of the list, as in the address */
    show(given) {
      if (given === query && listed.value.next !== null) return
      if (given === query && listed.value.lines.length > 0) return
      query = given
      reload()
    },
    /** @param {boolean} is whether the first line of the list is visible */
    setAtHead(is) {
      isAtHead = is
      if (is && fresh.size > 0) showFresh()
    },
  }
}

/**
 * @param {string | null} next
 * @returns {Listed}
 */
function nothing(next) {
  return { lines: [], next, isLoading: false, waiting: 0 }
}
