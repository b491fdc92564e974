import { saidOf } from './api.js'
import { useEffect, useRef, useState } from './vendor.js'

/** @import { Api } from './api.js' */

/** How often what is looked at is read again, ms. */
const EVERY_MS = 3000

/**
 * What the API has at an address, read again every few seconds while it is looked at.
 * @param {Api} api
 * @param {string} path
 * @returns {{ seen: unknown, of: string, fault: string, load: () => Promise<unknown> }} `seen`: the latest answer, undefined
 * before there is one; `of`: the address that it is of, which is the one before until the next has answered; `fault`:
 * why it could not be read; empty: it could
 */
export function usePolled(api, path) {
  const [{ seen, of }, setAnswer] = useState({
    seen: /** @type {unknown} */ (undefined),
    of: path,
  })
  const [fault, setFault] = useState('')
  const latest = useRef(path)
  latest.current = path
  const load = () =>
    api.get(path).then(
      (given) => {
        // An answer about the address before comes too late.
        if (latest.current !== path) return
        setAnswer({ seen: given, of: path })
        setFault('')
      },
      (error) => latest.current === path && setFault(saidOf(error)),
    )
  useEffect(() => {
    load()
    const timer = setInterval(() => document.visibilityState === 'visible' && load(), EVERY_MS)
    return () => clearInterval(timer)
  }, [path])
  return { seen, of, fault, load }
}
