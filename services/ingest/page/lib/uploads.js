import { Refused, saidOf } from './api.js'
import { isAudio, isLeftBySystem } from './files.js'
import { watchable } from './watchable.js'

/** @import { Api } from './api.js' */
/** @import { Live } from './live.js' */
/** @import { Accepted, JobRequest } from './types.d.ts' */

/** Maximum number of files that are sent concurrently. More would only share the connection. */
const CONCURRENCY = 3
/** Number of jobs that are queried in one round, and the time between two rounds, ms. */
const A_ROUND = 8
const ROUND_MS = 1000

/**
 * @typedef {object} Sent
 * @property {number} id
 * @property {File} file
 * @property {'waiting' | 'sending' | 'queued' | 'accepted' | 'running' | 'done' | 'partial' | 'failed' | 'cancelled' | 'refused'} phase
 * @property {number} percent progress of the phase, 0 to 100
 * @property {string} [guid]
 * @property {Replaced} [replaces]
 * @property {string} [request]
 * @property {string} [note] a message that is not an error
 * @property {JobRequest} [job]
 * @property {string} [fault]
 * @property {string} [remedy]
 */

/**
 * The track whose master is replaced, the dead letter that is discarded afterwards, and the assets to make.
 * @typedef {{ guid: string, letter: string, assets: readonly string[] }} Replaced
 */

/** @typedef {ReturnType<typeof createUploads>} Uploads */

const REPLACES = 'The track had other content before. That stays, and is no longer the latest.'

const ENDED = ['done', 'partial', 'failed', 'cancelled', 'refused']

/** @param {Sent} sent */
export const hasEnded = ({ phase }) => ENDED.includes(phase)

/**
 * Sends masters and follows their jobs, whichever view is open.
 * @param {Api} api
 * @param {Live} live
 */
export function createUploads(api, live) {
  const all = watchable(/** @type {readonly Sent[]} */ ([]))
  /** @type {Map<number, XMLHttpRequest>} */
  const lines = new Map()
  let ids = 0
  let isFollowing = false

  /**
   * @param {number} id
   * @param {Partial<Sent>} change
   */
  function change(id, change) {
    all.set(all.value.map((sent) => (sent.id === id ? { ...sent, ...change } : sent)))
  }

  function sendNext() {
    while (lines.size < CONCURRENCY) {
      const next = all.value.find(({ phase }) => phase === 'waiting')
      if (next === undefined) return
      send(next)
    }
  }

  /** @param {Sent} sent */
  function send({ id, file, replaces }) {
    const form = new FormData()
    const fields =
      replaces === undefined
        ? {}
        : { asset_guid: replaces.guid, derivative_assets: replaces.assets.join() }
    for (const [name, value] of Object.entries(fields)) form.set(name, value)
    form.set('file', file)
    const line = new XMLHttpRequest()
    lines.set(id, line)
    change(id, { phase: 'sending', percent: 0 })
    line.open('POST', '/v1/jobs')
    for (const [name, value] of Object.entries(api.authorization()))
      line.setRequestHeader(name, value)
    line.responseType = 'json'
    line.upload.onprogress = ({ loaded, total }) =>
      change(id, { percent: total === 0 ? 0 : Math.floor((loaded / total) * 100) })
    line.onloadend = () => {
      lines.delete(id)
      if (line.status === 202) {
        const accepted = /** @type {Accepted} */ (line.response)
        const { asset_guid: guid, request_id: request } = accepted
        const note = accepted.replaces === undefined ? '' : REPLACES
        change(id, { phase: 'accepted', percent: 0, guid, request, note })
        follow()
        if (replaces !== undefined) settle(replaces, request)
      } else if (line.status > 0) {
        const given = line.response ?? { detail: `The answer was ${line.status}.` }
        const problem = { ...given, status: line.status }
        const fault = api.refusal(problem).message
        change(id, { phase: 'refused', fault, remedy: problem.remedy })
      } else if (all.value.some((sent) => sent.id === id)) {
        change(id, { phase: 'refused', fault: 'The connection broke.' })
      }
      sendNext()
    }
    line.send(form)
  }

  /**
   * @param {Replaced} replaced
   * @param {string} request
   */
  async function settle({ letter }, request) {
    const reason = `A mended master was given with the request ${request}.`
    // Without the right to discard it, the letter stays open: an operator then sees that the track is mended.
    await api.post(`/v1/dead-letters/${letter}/discard`, { reason }).catch(() => {})
  }

  async function follow() {
    if (isFollowing) return
    isFollowing = true
    for (let from = 0; ; from += A_ROUND) {
      const open = all.value.filter((sent) => sent.request !== undefined && !hasEnded(sent))
      if (open.length === 0) break
      if (from >= open.length) from = 0
      await Promise.all(open.slice(from, from + A_ROUND).map(look))
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS))
    }
    isFollowing = false
  }

  /** @param {Sent} sent */
  async function look({ id, request = '' }) {
    try {
      const job = /** @type {JobRequest} */ (
        await api.get(`/v1/jobs/${encodeURIComponent(request)}`)
      )
      const failed = job.jobs[0]?.assets.find((asset) => asset.state === 'failed')
      change(id, {
        job,
        phase: job.state,
        percent: job.percent,
        ...(failed === undefined ? {} : { fault: failed.sentence }),
        ...(failed?.remedy === undefined ? {} : { remedy: failed.remedy }),
      })
    } catch (error) {
      // The job is not known yet, or the server does not answer now. The next round asks again.
      if (
        error instanceof Refused &&
        error.problem.status !== 404 &&
        error.problem.status < 500
      )
        change(id, { phase: 'refused', fault: saidOf(error) })
    }
  }

  live.track.watch((line) => {
    const sent = all.value.find((each) => each.request === line?.request_id)
    if (line !== undefined && sent !== undefined && !hasEnded(sent)) look(sent)
  })
  addEventListener('beforeunload', (event) => {
    if (lines.size > 0) event.preventDefault()
  })

  return {
    all,
    /** @param {readonly File[]} files */
    add(files) {
      const added = files.filter(isAudio).map((file) => {
        return /** @type {Sent} */ ({ id: ++ids, file, phase: 'waiting', percent: 0 })
      })
      all.set([...all.value, ...added])
      sendNext()
      const left = files.filter(isLeftBySystem).length
      return { added: added.length, left, passedOver: files.length - added.length - left }
    },
    /** @param {number} id */
    again(id) {
      change(id, { phase: 'waiting', percent: 0, fault: '', remedy: '' })
      sendNext()
    },
    /** @param {number} id of a file that has not arrived completely; it is given up */
    stop(id) {
      all.set(all.value.filter((sent) => sent.id !== id))
      lines.get(id)?.abort()
    },
    /**
     * Sends another master for a track, for the assets that a dead letter says were not made.
     * @param {File} file
     * @param {Replaced} replaces
     */
    mend(file, replaces) {
      const sent = /** @type {Sent} */ ({
        id: ++ids,
        file,
        phase: 'waiting',
        percent: 0,
        replaces,
      })
      all.set([...all.value, sent])
      sendNext()
    },
    clear() {
      all.set(all.value.filter((sent) => !hasEnded(sent)))
    },
  }
}
