import { saidOf } from '../lib/api.js'
import { html, useEffect, useRef, useState } from '../lib/vendor.js'
import { useAsked } from '../lib/watchable.js'
import { length } from '../lib/words.js'
import { resultOf } from './results.js'
import { Wave } from './wave.js'

/** @import { Api } from '../lib/api.js' */
/** @import { Key, Tempo, TrackDetail, Waveform } from '../lib/types.d.ts' */

/** The assets that can be played, in order of preference. */
export const PLAYABLE = ['aac-128', 'mp3-320', 'mp3-128', 'preview', 'flac']
/** Maximum zoom, times the width of the window. */
const MAX_ZOOM = 64
/** The distance that an arrow key seeks, s. */
const STEP_SECONDS = 5

/**
 * The waveform with the player, which starts where the waveform is clicked.
 * @param {{ api: Api, track: TrackDetail }} props
 */
export function Player({ api, track }) {
  const { asset_guid: guid, master, assets } = track
  const made = assets.filter(({ state }) => state === 'made')
  const hasWave = made.some(({ asset }) => asset === 'waveform')
  const playable = PLAYABLE.find((id) => made.some(({ asset }) => asset === id))
  const { revision } = track
  const path = `/v1/tracks/${encodeURIComponent(guid)}/assets`
  const { value: wave } = useAsked(
    async () => (hasWave ? api.get(`${path}/waveform.json`) : undefined),
    [guid, revision, hasWave],
  )
  const source = playable === undefined ? undefined : `${path}/${playable}`
  const { audio, time, isPlaying, fault, toggle, seek } = useAudio(api, source)
  const [zoom, setZoom] = useState(1)
  if (!hasWave && playable === undefined) return null

  const { seconds } = master
  const tempo = /** @type {Tempo | undefined} */ (resultOf(track, 'bpm'))
  const key = /** @type {Key | undefined} */ (resultOf(track, 'key'))
  const to = (/** @type {number} */ at) => seek(Math.max(0, Math.min(seconds - 0.01, at)))
  const moves = /** @type {Readonly<Record<string, () => void>>} */ ({
    ' ': toggle,
    Enter: toggle,
    ArrowLeft: () => to(time - STEP_SECONDS),
    ArrowRight: () => to(time + STEP_SECONDS),
    ArrowDown: () => to(time - STEP_SECONDS),
    ArrowUp: () => to(time + STEP_SECONDS),
    Home: () => to(0),
    End: () => to(seconds),
  })
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const move = moves[event.key]
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    move()
  }

  return html`<section class="player" aria-label="Player">
    ${source && html`<audio ref=${audio} preload="metadata"></audio>`}
    <div class="wave-frame" onKeyDown=${onKeyDown}>
      ${
        wave !== undefined &&
        html`<${Wave} ...${{ zoom, seconds, time, isPlaying, tempo, harmony: key }} wave=${/** @type {Waveform} */ (wave)}
          onSeek=${(/** @type {number} */ at) => {
            to(at)
            if (!isPlaying) toggle()
          }} />`
      }
    </div>
    <div class="controls">
      ${
        source &&
        html`<button class="play main" onClick=${toggle} aria-label=${isPlaying ? 'Pause' : 'Play'}>
        <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${isPlaying ? 'M7 5h4v14H7zM13 5h4v14h-4z' : 'M8 5v14l11-7z'} /></svg>
      </button>`
      }
      <${Pulse} tempo=${tempo} time=${time} isPlaying=${isPlaying} />
      <span class="time">${length(time)} <span class="quiet">/ ${length(seconds)}</span></span>
      ${fault !== '' && html`<span class="fault" role="alert">${fault}</span>`}
      <span class="zoom" role="group" aria-label="Zoom">
        <button class="slight" disabled=${zoom === 1} onClick=${() => setZoom(zoom / 2)} aria-label="Zoom out">−</button>
        <span class="quiet">${zoom}×</span>
        <button class="slight" disabled=${zoom >= MAX_ZOOM} onClick=${() => setZoom(zoom * 2)} aria-label="Zoom in">+</button>
      </span>
    </div>
  </section>`
}

/**
 * A dot that beats with the track.
 * @param {{ tempo: Tempo | undefined, time: number, isPlaying: boolean }} props
 */
function Pulse({ tempo, time, isPlaying }) {
  const { bpm, firstBeatMs } = tempo ?? {}
  if (typeof bpm !== 'number' || typeof firstBeatMs !== 'number') return null
  const beats = ((time - firstBeatMs / 1000) * bpm) / 60
  const strength = isPlaying && beats >= 0 ? 1 - (beats % 1) : 0
  return html`<span class="pulse" aria-hidden="true" style=${{ opacity: 0.2 + 0.8 * strength }}></span>`
}

/**
 * An audio element and its position.
 * @param {Api} api
 * @param {string | undefined} path
 */
function useAudio(api, path) {
  const audio = useRef(/** @type {HTMLAudioElement | null} */ (null))
  const [time, setTime] = useState(0)
  const [isPlaying, setPlaying] = useState(false)
  const [fault, setFault] = useState('')

  useEffect(() => {
    const element = audio.current
    if (element === null || path === undefined) return
    const stop = new AbortController()
    const { signal } = stop
    const onTime = () => setTime(element.currentTime)
    for (const each of ['timeupdate', 'seeked'])
      element.addEventListener(each, onTime, { signal })
    element.addEventListener('play', () => setPlaying(true), { signal })
    for (const each of ['pause', 'ended'])
      element.addEventListener(each, () => setPlaying(false), { signal })
    element.addEventListener('error', () => setFault('It cannot be played.'), { signal })
    // If a token is required, the whole file is fetched, so only when the user starts to play it.
    if (!api.hasToken()) element.src = path
    return () => {
      stop.abort()
      element.pause()
      if (element.src.startsWith('blob:')) URL.revokeObjectURL(element.src)
    }
  }, [path])

  // The element reports its time four times a second. A moving line needs every frame.
  useEffect(() => {
    if (!isPlaying) return
    let asked = 0
    const look = () => {
      setTime(audio.current?.currentTime ?? 0)
      asked = requestAnimationFrame(look)
    }
    look()
    return () => cancelAnimationFrame(asked)
  }, [isPlaying])

  /** @param {HTMLAudioElement} element */
  async function load(element) {
    if (element.src === '' && path !== undefined) element.src = await api.addressOf(path)
  }
  return {
    audio,
    time,
    isPlaying,
    fault,
    async toggle() {
      const element = audio.current
      if (element === null) return
      try {
        await load(element)
        if (element.paused) await element.play()
        else element.pause()
        setFault('')
      } catch (error) {
        // It was paused before it started.
        if (/** @type {Error} */ (error).name !== 'AbortError') setFault(saidOf(error))
      }
    },
    /** @param {number} seconds */
    async seek(seconds) {
      setTime(seconds)
      const element = audio.current
      if (element === null) return
      await load(element)
      element.currentTime = seconds
    },
  }
}
