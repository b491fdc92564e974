import { useEffect, useState } from './vendor.js'

/** @import { Watchable } from './types.d.ts' */

/**
 * A value that can be watched.
 * @template T
 * @param {T} value
 * @returns {Watchable<T>}
 */
export function watchable(value) {
  /** @type {Set<(value: T) => void>} */
  const watchers = new Set()
  return {
    get value() {
      return value
    },
    set(next) {
      value = next
      for (const watcher of watchers) watcher(next)
    },
    watch(onChange) {
      watchers.add(onChange)
      return () => watchers.delete(onChange)
    },
  }
}

/**
 * The current value. The component is rendered again when it changes.
 * @template T
 * @param {Watchable<T>} source
 * @returns {T}
 */
export function useWatched(source) {
  const [, redraw] = useState(/** @type {unknown} */ (undefined))
  useEffect(() => {
    redraw(source.value)
    return source.watch((value) => redraw(value))
  }, [source])
  return source.value
}

/**
 * The result of a promise, once it settles. When an input changes, `ask` is called again; the old result stays until then.
 * @template T
 * @param {() => Promise<T>} ask
 * @param {readonly unknown[]} inputs
 * @returns {{ value?: T, error?: Error }}
 */
export function useAsked(ask, inputs) {
  const [answer, setAnswer] = useState(/** @type {{ value?: T, error?: Error }} */ ({}))
  useEffect(() => {
    let isWanted = true
    ask().then(
      (value) => isWanted && setAnswer({ value }),
      (error) => isWanted && setAnswer({ error }),
    )
    return () => {
      isWanted = false
    }
  }, inputs)
  return answer
}
