import { createApi } from './lib/api.js'
import { createLive } from './lib/live.js'
import { useRoute } from './lib/route.js'
import { createTrackList } from './lib/track-list.js'
import { createUploads } from './lib/uploads.js'
import { html, render, useEffect, useLayoutEffect, useRef, useState } from './lib/vendor.js'
import { useWatched } from './lib/watchable.js'
import { counted } from './lib/words.js'
import { Board } from './views/board.js'
import { Campaigns } from './views/campaigns.js'
import { Dialog } from './views/dialog.js'
import { Drop, Sendings } from './views/drop.js'
import { Letters } from './views/letters.js'
import { Release } from './views/release.js'
import { Releases } from './views/releases.js'
import { ThemeButton } from './views/theme-button.js'
import { Track } from './views/track.js'
import { Tracks } from './views/tracks.js'
import { Versions } from './views/versions.js'

const api = createApi()
const live = createLive(api)
const uploads = createUploads(api, live)
const tracks = createTrackList(api, live)

/**
 * The pages beside the list and those of tracks, by their paths.
 * @type {Readonly<Record<string, string>>}
 */
const NAMES = {
  '/dead-letters': 'Dead letters',
  '/releases': 'Releases',
  '/campaigns': 'Campaigns',
}

/** The scroll position of the list, restored when the user comes back from a track. */
let leftAt = 0

function App() {
  const route = useRoute()
  const denied = useWatched(api.denied)
  const [tokens, setTokens] = useState(0)
  const main = useRef(/** @type {HTMLElement | null} */ (null))
  const guid = /^\/tracks\/(.+)$/.exec(route.path)?.[1]
  const release = /^\/releases\/(-?\d+)$/.exec(route.path)?.[1]
  const named = release === undefined ? NAMES[route.path] : `Release ${release}`
  const isHome = guid === undefined && named === undefined

  useEffect(() => {
    live.start()
    if (tokens > 0) tracks.reload()
  }, [tokens])
  const shown = useRef(route.path)
  useLayoutEffect(() => {
    if (guid === undefined) document.title = isHome ? 'Trackchain' : `${named} · Trackchain`
    if (shown.current === route.path) return
    shown.current = route.path
    scrollTo(0, isHome ? leftAt : 0)
    main.current?.focus({ preventScroll: true })
  }, [route.path])
  useEffect(() => {
    if (!isHome) return
    const note = () => {
      if (shown.current === '/') leftAt = scrollY
    }
    addEventListener('scroll', note, { passive: true })
    return () => removeEventListener('scroll', note)
  }, [isHome])

  return html`
    <a class="skip" href="#content" onClick=${(/** @type {Event} */ event) => {
      event.preventDefault()
      main.current?.focus()
    }}>Skip to the content</a>
    <${Header} path=${route.path} />
    <main id="content" tabindex="-1" ref=${main} key=${tokens}>
      ${
        isHome &&
        html`
        <h1 class="unseen">Trackchain</h1>
        <${Drop} uploads=${uploads} />
        <${Sendings} uploads=${uploads} />
        <${Board} live=${live} />
        <${Versions} api=${api} />
        <${Tracks} tracks=${tracks} query=${route.query} />`
      }
      ${guid !== undefined && html`<${Track} ...${{ api, live, uploads }} guid=${decodeURIComponent(guid)} />`}
      ${route.path === '/releases' && html`<${Releases} api=${api} query=${route.query} />`}
      ${release !== undefined && html`<${Release} key=${release} ...${{ api, release }} />`}
      ${route.path === '/campaigns' && html`<${Campaigns} api=${api} />`}
      ${route.path === '/dead-letters' && html`<${Letters} ...${{ api, live, uploads }} query=${route.query} />`}
    </main>
    ${denied !== undefined && html`<${TokenDialog} said=${denied} onGiven=${() => setTokens(tokens + 1)} />`}
  `
}

/** @param {{ path: string }} props */
function Header({ path }) {
  const board = useWatched(live.board)
  const letters = board?.dead_letters_open ?? 0
  const at = (/** @type {string} */ to) => (path === to ? 'page' : undefined)
  return html`<header class="top">
    <a class="mark" href="#/" aria-label="Trackchain, home">
      <svg viewBox="0 0 40 24" aria-hidden="true"><path d="M3 12h3M10 7v10M16 2v20M22 8v8M28 4v16M34 10v4" /></svg>
      <span>Trackchain</span>
    </a>
    <nav aria-label="Pages">
      <a href="#/" aria-current=${at('/')}>Tracks</a>
      <a href="#/dead-letters" aria-current=${at('/dead-letters')}>Dead letters${letters > 0 && html` <span class="badge">${counted(letters)}</span>`}</a>
      <a href="#/releases" aria-current=${at('/releases')}>Releases</a>
      <a href="#/campaigns" aria-current=${at('/campaigns')}>Campaigns</a>
      <a href="/docs">API</a>
    </nav>
    <${ThemeButton} />
  </header>`
}

/** @param {{ said: string, onGiven: () => void }} props */
function TokenDialog({ said, onGiven }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null))
  return html`<${Dialog} title="Sign in" action="Continue" onDone=${() => {
    api.setToken(field.current?.value ?? '')
    onGiven()
  }}>
    <p>${said} It is kept until this tab is closed.</p>
    <label>Token <input ref=${field} type="password" required autocomplete="current-password" /></label>
  <//>`
}

history.scrollRestoration = 'manual'
const place = document.getElementById('app')
if (place !== null) render(html`<${App} />`, place)
