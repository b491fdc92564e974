import { watchable } from './watchable.js'

/** @import { Api } from './api.js' */
/** @import { Board, TrackLine } from './types.d.ts' */

/** The delay between two attempts to connect, ms: the first one, and the longest. */
const SOON_MS = 1000
const LATE_MS = 15_000

/** @typedef {ReturnType<typeof createLive>} Live */

/**
 * The live events of the chain. A hidden page does not listen.
 * @param {Api} api
 */
export function createLive(api) {
  const board = watchable(/** @type {Board | undefined} */ (undefined))
  const track = watchable(/** @type {TrackLine | undefined} */ (undefined))
  const isConnected = watchable(false)
  /** @type {AbortController | undefined} */
  let listening
  let lastId = ''

  /** @param {AbortSignal} signal */
  async function listen(signal) {
    let waitMs = SOON_MS
    while (!signal.aborted) {
      try {
        const headers = { ...(lastId === '' ? {} : { 'last-event-id': lastId }) }
        const { body } = await api.ask('/v1/live', { headers, signal })
        if (body === null) throw new Error('The stream has no body.')
        isConnected.set(true)
        waitMs = SOON_MS
        for await (const said of eventsIn(body)) take(said)
      } catch {
        // The page shows "reconnecting". The loop tries again.
      }
      isConnected.set(false)
      if (signal.aborted || api.denied.value !== undefined) return
      await new Promise((resolve) => setTimeout(resolve, waitMs))
      waitMs = Math.min(LATE_MS, waitMs * 2)
    }
  }

  /** @param {{ event: string, data: string, id: string }} said */
  function take({ event, data, id }) {
    if (id !== '') lastId = id
    if (event === 'board') board.set(JSON.parse(data))
    if (event === 'track') track.set(JSON.parse(data))
  }

  function start() {
    listening?.abort()
    listening = new AbortController()
    listen(listening.signal)
  }

  return {
    board,
    track,
    isConnected,
    /** Starts to listen, or restarts with another token. */
    start() {
      start()
      document.onvisibilitychange = () => (document.hidden ? listening?.abort() : start())
    },
  }
}

/**
 * The events of a text/event-stream: https://html.spec.whatwg.org/multipage/server-sent-events.html.
 * EventSource is not used because it cannot send a token.
 * @param {ReadableStream<Uint8Array>} body
 */
async function* eventsIn(body) {
  const text = body.pipeThrough(/** @type {any} */ (new TextDecoderStream()))
  const reader = /** @type {ReadableStream<string>} */ (text).getReader()
  let kept = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    kept += value.replaceAll('\r\n', '\n')
    const blocks = kept.split('\n\n')
    kept = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = { event: 'message', data: '', id: '' }
      for (const line of block.split('\n')) {
        const [, name, rest = ''] = /^(event|data|id): ?(.*)$/.exec(line) ?? []
        if (name === 'data') fields.data += rest
        else if (name === 'event' || name === 'id') fields[name] = rest
      }
      if (fields.data !== '') yield fields
    }
  }
}
