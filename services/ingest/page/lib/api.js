import { watchable } from './watchable.js'

/** @import { Problem } from './types.d.ts' */

/**
 * The key of the token in sessionStorage, which is kept until the tab is closed and is not shared with
 * other tabs.
 */
const TOKEN = 'trackchain-token'

/** An error response of the API, with its problem document. */
export class Refused extends Error {
  /** @override */
  name = 'Refused'

  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.detail)
    this.problem = problem
  }
}

/** @typedef {ReturnType<typeof createApi>} Api */

/** A client of the HTTP API. It sends the token if there is one. */
export function createApi() {
  /** Why a token is required; undefined while none is. */
  const denied = watchable(/** @type {string | undefined} */ (undefined))
  let token = sessionStorage.getItem(TOKEN)

  /** @returns {Record<string, string>} */
  const authorization = () => (token === null ? {} : { authorization: `Bearer ${token}` })

  /**
   * @param {string} path
   * @param {RequestInit} [init]
   * @throws Refused; TypeError when the server does not answer
   */
  async function ask(path, init = {}) {
    const used = token
    const response = await fetch(path, {
      ...init,
      headers: { ...init.headers, ...authorization() },
    })
    if (response.ok) return response
    throw refusal(await problemOf(response), used)
  }

  /**
   * @param {Problem} problem
   * @param {string | null} used the token that was sent; there may be another one by now
   */
  function refusal(problem, used = token) {
    if (problem.status === 401 && used === token) {
      const wrong = 'This token is not known here.'
      denied.set(token === null ? 'A token is needed here.' : wrong)
    }
    return new Refused(problem)
  }

  return {
    denied,
    ask,
    refusal,
    authorization,
    /** @param {string} given */
    setToken(given) {
      token = given.trim()
      sessionStorage.setItem(TOKEN, token)
      denied.set(undefined)
    },
    /**
     * @template T
     * @param {string} path
     * @returns {Promise<T>}
     */
    async get(path) {
      return /** @type {Promise<T>} */ ((await ask(path)).json())
    },
    /**
     * @template T
     * @param {string} path
     * @param {object} body
     * @returns {Promise<T>}
     */
    async post(path, body) {
      const headers = { 'content-type': 'application/json' }
      const init = { method: 'POST', headers, body: JSON.stringify(body) }
      return /** @type {Promise<T>} */ ((await ask(path, init)).json())
    },
    /**
     * The address of a file for a media element or a link, which cannot send a token. If a token is required,
     * the file is fetched and its object URL is returned.
     * @param {string} path
     */
    async addressOf(path) {
      if (token === null) return path
      return URL.createObjectURL(await (await ask(path)).blob())
    },
    hasToken: () => token !== null,
  }
}

/** @param {Response} response */
async function problemOf(response) {
  const { status } = response
  const said = await response.json().catch(() => undefined)
  const detail = `The answer was ${status} ${response.statusText}.`
  return /** @type {Problem} */ ({ code: 'INTERNAL', detail, ...said, status })
}

/**
 * The text that is shown for an error.
 * @param {unknown} error
 */
export function saidOf(error) {
  if (error instanceof Refused) return error.message
  if (error instanceof TypeError) return 'The chain does not answer.'
  return error instanceof Error ? error.message : String(error)
}

/**
 * The same where somebody has acted, which may need more rights.
 * @param {unknown} error
 */
export function whyNot(error) {
  const needsRights = error instanceof Refused && error.problem.status === 403
  return needsRights ? `${saidOf(error)} Ask an operator of the chain.` : saidOf(error)
}
