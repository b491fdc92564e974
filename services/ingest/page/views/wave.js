import { hue } from '../lib/camelot.js'
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../lib/vendor.js'
import { barsPath, beatsPath } from '../lib/wave-paths.js'
import { isUnlikely, length } from '../lib/words.js'

/** @import { Key, Tempo, Waveform } from '../lib/types.d.ts' */

const HEIGHT = 160

/**
 * A waveform whose width is that of the page times the zoom. Only the visible part is drawn.
 * @param {object} props
 * @param {Waveform} props.wave
 * @param {number} props.zoom
 * @param {number} props.seconds length of the track, s
 * @param {number} props.time the playing position, s
 * @param {boolean} props.isPlaying
 * @param {Tempo | undefined} props.tempo
 * @param {Key | undefined} props.harmony
 * @param {(seconds: number) => void} props.onSeek called when the user clicks on the waveform
 */
export function Wave({ wave, zoom, seconds, time, isPlaying, tempo, harmony, onSeek }) {
  const frame = useRef(/** @type {HTMLDivElement | null} */ (null))
  const [width, setWidth] = useState(0)
  const [left, setLeft] = useState(0)
  const all = width * zoom
  const perSecond = all / seconds

  useLayoutEffect(() => {
    const element = frame.current
    if (element === null) return
    const look = () => setWidth(element.clientWidth)
    look()
    const watched = new ResizeObserver(look)
    watched.observe(element)
    return () => watched.disconnect()
  }, [])
  // Keep the playing position in the middle when the zoom changes.
  useLayoutEffect(() => {
    if (frame.current) frame.current.scrollLeft = time * perSecond - width / 2
  }, [zoom, width])
  // While playing, the view advances by pages.
  useEffect(() => {
    const x = time * perSecond - left
    if (isPlaying && zoom > 1 && (x < 0 || x > width * 0.95) && frame.current)
      frame.current.scrollLeft = time * perSecond - width * 0.05
  }, [time, isPlaying])

  const bars = useMemo(
    () => barsPath(wave, { seconds, from: left / perSecond, perSecond, width, height: HEIGHT }),
    [wave, left, perSecond, width],
  )
  const beats = useMemo(
    () =>
      beatsPath(tempo, { seconds, from: left / perSecond, perSecond, width, height: HEIGHT }),
    [tempo, left, perSecond, width],
  )
  const played = Math.max(0, Math.min(width, time * perSecond - left))
  const onClick = (/** @type {MouseEvent} */ event) => {
    const { left: edge } = /** @type {Element} */ (event.currentTarget).getBoundingClientRect()
    onSeek((event.clientX - edge + left) / perSecond)
  }
  const strips = width > 0 && { perSecond, left, width }
  return html`<div class="wave" ref=${frame} onScroll=${() => setLeft(frame.current?.scrollLeft ?? 0)}>
    <div class="wave-all" style=${{ width: `${all}px` }}>
      <div class="wave-view" style=${{ width: `${width}px` }} onClick=${onClick}
        role="slider" tabindex="0" aria-label="Position" aria-valuemin="0" aria-valuemax=${Math.floor(seconds)}
        aria-valuenow=${Math.floor(time)} aria-valuetext=${`${length(time)} of ${length(seconds)}`}>
        <svg viewBox=${`0 0 ${Math.max(1, width)} ${HEIGHT}`} aria-hidden="true">
          <clipPath id="played"><rect width=${played} height=${HEIGHT} /></clipPath>
          ${beats !== '' && html`<path class="beats" d=${beats} />`}
          <path class="bars" d=${bars} />
          <path class="bars is-played" d=${bars} clip-path="url(#played)" />
          <line class="head" x1=${played} x2=${played} y1="0" y2=${HEIGHT} />
        </svg>
      </div>
      ${strips && html`<${Sections} ...${strips} tempo=${tempo} harmony=${harmony} />`}
    </div>
  </div>`
}

/**
 * The sections below the waveform of a track with several keys or tempos.
 * @param {{ perSecond: number, left: number, width: number, tempo: Tempo | undefined, harmony: Key | undefined
 * }} props
 */
function Sections({ perSecond, left, width, tempo, harmony }) {
  const keys = (harmony?.keyOverTime ?? []).map(({ from, to, camelot, key, confidence }) => {
    const mark = isUnlikely(confidence) ? '?' : ''
    return {
      from,
      to,
      text: `${camelot}${mark}`,
      title: `${key}${mark}`,
      style: { '--hue': hue(camelot) },
    }
  })
  const tempos = (tempo?.tempoOverTime ?? []).map(({ from, to, bpm, confidence }) => {
    const mark = isUnlikely(confidence) ? '?' : ''
    return { from, to, text: `${bpm.toFixed(0)}${mark}`, title: `${bpm}${mark} BPM`, style: {} }
  })
  return [keys, tempos]
    .filter(({ length: many }) => many > 1)
    .map(
      (sections, i) => html`<div class=${`sections is-${i}`} style=${{ width: `${width}px` }}>
        ${sections.map(({ from, to, text, title, style }) => {
          const [start, end] = [from * perSecond - left, to * perSecond - left]
          if (end < 0 || start > width) return null
          const place = { left: `${start}px`, width: `${Math.max(2, end - start - 1)}px` }
          const said = `${title}, ${length(from)} to ${length(to)}`
          return html`<span title=${said} style=${{ ...style, ...place }}>${end - start > 28 && text}</span>`
        })}
      </div>`,
    )
}
