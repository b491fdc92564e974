import { useLayoutEffect, useRef, useState } from './vendor.js'

/** Number of lines that are drawn above and below the visible ones. */
const MARGIN = 10

/**
 * Which lines of a long list have to be drawn: those near the window. The list has its full height in the page,
 * so that the page's scroll bar is the list's.
 * @param {number} count
 * @param {number} height of a line, px
 */
export function useWindow(count, height) {
  const list = useRef(/** @type {HTMLElement | null} */ (null))
  const [range, setRange] = useState({ from: 0, to: 0 })
  useLayoutEffect(() => {
    let asked = 0
    const look = () => {
      asked = 0
      if (list.current === null) return
      const { top } = list.current.getBoundingClientRect()
      const first = Math.floor(-top / height) - MARGIN
      const last = Math.ceil((innerHeight - top) / height) + MARGIN
      const from = Math.max(0, Math.min(first, count))
      const to = Math.max(from, Math.min(count, last))
      setRange((now) => (now.from === from && now.to === to ? now : { from, to }))
    }
    const soon = () => {
      asked ||= requestAnimationFrame(look)
    }
    look()
    const watched = new ResizeObserver(soon)
    watched.observe(document.body)
    addEventListener('scroll', soon, { passive: true })
    addEventListener('resize', soon)
    return () => {
      cancelAnimationFrame(asked)
      watched.disconnect()
      removeEventListener('scroll', soon)
      removeEventListener('resize', soon)
    }
  }, [count, height])
  return { list, ...range }
}

/**
 * Whether the window matches a media query.
 * @param {string} media e.g. `(max-width: 720px)`
 */
export function useMedia(media) {
  const [holds, setHolds] = useState(() => matchMedia(media).matches)
  useLayoutEffect(() => {
    const query = matchMedia(media)
    const onChange = () => setHolds(query.matches)
    query.addEventListener('change', onChange)
    return () => query.removeEventListener('change', onChange)
  }, [media])
  return holds
}
