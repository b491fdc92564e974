import { useEffect, useState } from './vendor.js'

/** @typedef {{ path: string, query: URLSearchParams }} Route */

/**
 * The route in the fragment of the address.
 * @returns {Route}
 */
function routeNow() {
  const [path = '/', query = ''] = (location.hash.slice(1) || '/').split('?')
  return { path, query: new URLSearchParams(query) }
}

/** The current route. */
export function useRoute() {
  const [route, setRoute] = useState(routeNow)
  useEffect(() => {
    const onChange = () => setRoute(routeNow())
    addEventListener('hashchange', onChange)
    return () => removeEventListener('hashchange', onChange)
  }, [])
  return route
}

/** @param {string} guid */
export function trackHref(guid) {
  return `#/tracks/${encodeURIComponent(guid)}`
}

/** @param {number} release */
export function releaseHref(release) {
  return `#/releases/${release}`
}

/**
 * The address of the list with these filters.
 * @param {Readonly<Record<string, string>>} filters
 */
export function listHref(filters) {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== ''))
  return query.size === 0 ? '#/' : `#/?${query}`
}
