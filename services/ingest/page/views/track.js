import { Refused, saidOf } from '../lib/api.js'
import { releaseHref } from '../lib/route.js'
import { html, useEffect, useState } from '../lib/vendor.js'
import { length, moment, nameOf } from '../lib/words.js'
import { Assets } from './assets.js'
import { Cancel } from './cancel.js'
import { History } from './history.js'
import { Letter } from './letter.js'
import { Player } from './player.js'
import { Results } from './results.js'
import { StateChip } from './tracks.js'
import { Warnings } from './warnings.js'

/** @import { Api } from '../lib/api.js' */
/** @import { Live } from '../lib/live.js' */
/** @import { Uploads } from '../lib/uploads.js' */
/** @import { DeadLetter as Kept, DeadLetterPage, JobRequest, TrackDetail as Known, TrackLine, TrackPage } from '../lib/types.d.ts' */

/** Interval between two queries while the track is being processed, ms. */
const LOOK_MS = 1500

/**
 * @typedef {object} Seen
 * @property {Known} [track] undefined while no job has read its master
 * @property {TrackLine} [line]
 * @property {readonly Kept[]} letters the open ones
 * @property {JobRequest} [job] its job while it is running
 */

/**
 * The page of a track.
 * @param {{ api: Api, live: Live, uploads: Uploads, guid: string }} props
 */
export function Track({ api, live, uploads, guid }) {
  const [seen, setSeen] = useState(/** @type {Seen | undefined} */ (undefined))
  const [fault, setFault] = useState('')
  // Counts the changes, for the components that load their own data.
  const [changes, setChanges] = useState(0)
  const look = () =>
    lookAt(api, guid).then(
      (found) => {
        setSeen(found)
        setFault('')
        setChanges((n) => n + 1)
        if (found !== undefined)
          document.title = `${nameOf(found.track ?? { asset_guid: guid })} · Trackchain`
      },
      (error) => setFault(saidOf(error)),
    )
  useEffect(() => {
    setSeen(undefined)
    look()
    return live.track.watch((line) => {
      if (line?.asset_guid === guid) look()
    })
  }, [guid])
  const isOpen = seen?.job !== undefined
  useEffect(() => {
    if (!isOpen) return
    const timer = setInterval(look, LOOK_MS)
    return () => clearInterval(timer)
  }, [isOpen, guid])

  if (fault !== '' && seen === undefined)
    return html`<p class="fault" role="alert">${fault} <button onClick=${look}>Try again</button></p>`
  if (seen === undefined) return html`<p class="quiet">Loading …</p>`
  const { track, line, letters, job } = seen
  const state = track?.state ?? line?.state
  const own = job?.jobs.find(({ asset_guid }) => asset_guid === guid)
  const release = track?.release_id ?? own?.release_id
  return html`<article class="track">
    <a class="back" href="#/">← All tracks</a>
    <header>
      <h1 tabindex="-1">${nameOf(track ?? line ?? { asset_guid: guid })}</h1>
      ${(track?.artist ?? line?.artist) && html`<p class="artist">${track?.artist ?? line?.artist}</p>`}
      <p class="facts quiet">
        ${state && html`<${StateChip} state=${state} />`}
        <code>${guid}</code>
        ${release !== undefined && html`<a href=${releaseHref(release)}>Release ${release}</a>`}
        ${track && html`<span>${length(track.master.seconds)}</span><span>since ${moment(track.first_seen)}</span>`}
      </p>
      ${job && html`<${Progress} ...${{ api, job, guid }} onCancelled=${look} />`}
    </header>
    ${letters.map((letter) => html`<${Letter} key=${letter.id} ...${{ api, uploads, letter }} isOnTrack />`)}
    ${track === undefined && letters.length === 0 && html`<p>No job has read its master yet.</p>`}
    ${
      track &&
      html`
      <${Warnings} warnings=${track.warnings} />
      <${Player} api=${api} track=${track} />
      <${Results} track=${track} />
      <${Assets} api=${api} track=${track} />`
    }
    <${History} api=${api} guid=${guid} changes=${changes} />
  </article>`
}

/** @param {{ api: Api, job: JobRequest, guid: string, onCancelled: () => void }} props */
function Progress({ api, job, guid, onCancelled }) {
  const own = job.jobs.find(({ asset_guid }) => asset_guid === guid)
  const assets = own?.assets ?? []
  const ended = assets.filter(({ state }) => state !== 'pending').length
  const percent = own?.percent ?? 0
  return html`<div class="progress">
    <progress max="100" value=${percent} aria-label="The job under way"></progress>
    <span role="status">${percent} %, ${ended} of ${assets.length} assets${own && own.lane !== 'new' && `, ${own.lane}`}</span>
    <${Cancel} ...${{ api }} path=${`/v1/jobs/${encodeURIComponent(job.request_id)}/cancel`} body=${{ asset_guid: guid }} title="Cancel this job?" action="Cancel the job" back="Let it run" follows="Posted again, the job goes on." onDone=${onCancelled} />
  </div>`
}

/**
 * @param {Api} api
 * @param {string} guid
 * @returns {Promise<Seen>}
 */
async function lookAt(api, guid) {
  const name = encodeURIComponent(guid)
  const [track, lines, open] = await Promise.all([
    ifKnown(/** @type {Promise<Known>} */ (api.get(`/v1/tracks/${name}`))),
    /** @type {Promise<TrackPage>} */ (api.get(`/v1/tracks?limit=20&q=${name}`)),
    /** @type {Promise<DeadLetterPage>} */ (
      api.get(`/v1/dead-letters?state=open&track=${name}`)
    ),
  ])
  const line = lines.tracks.find(({ asset_guid }) => asset_guid === guid)
  const state = line?.state
  const request = track?.request_id ?? line?.request_id
  const isOpen = state === 'running' && request !== undefined
  const job = isOpen
    ? await ifKnown(
        /** @type {Promise<JobRequest>} */ (api.get(`/v1/jobs/${encodeURIComponent(request)}`)),
      )
    : undefined
  return {
    letters: open.letters,
    ...(track && { track }),
    ...(line && { line }),
    ...(job && { job }),
  }
}

/**
 * @template T
 * @param {Promise<T>} asked
 * @returns {Promise<T | undefined>} undefined when there is no such thing (yet)
 */
function ifKnown(asked) {
  return asked.catch((error) => {
    if (error instanceof Refused && error.problem.status === 404) return undefined
    throw error
  })
}
