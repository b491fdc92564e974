import type { IncomingMessage } from 'node:http'

/** The parts of a request that identify its sender. */
type Knock = Pick<IncomingMessage, 'method' | 'headers' | 'rawHeaders'>

/**
 * The host names under which a port may be addressed. `own`: names of this machine's loopback. `private`: also IP
 * addresses and names that no site of the internet can have, for a port that others in the same network use. `any`: all
 * names, for a port whose callers authenticate.
 */
export type Names = 'own' | 'private' | 'any'

interface Refusal {
  /** The part of the request that is at fault, e.g. `header host`. */
  readonly at: string
  readonly sentence: string
}

const LOOPBACK = /^(?:localhost|(?:[a-z0-9-]+\.)+localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/i
/** One label, or a name in a domain that cannot be registered: RFC 6761, RFC 6762, ICANN's .internal, and .svc. */
const PRIVATE = /^[a-z0-9-]+$|\.(?:local|internal|svc)$/i

/** Whether a host is a loopback name or address of this machine. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host)
}

/** The host names under which a port that is bound to `host` may be addressed when authentication is off. */
export function namesOf(host: string): Names {
  return isLoopback(host) ? 'own' : 'private'
}

/**
 * Why a request is refused; undefined if it is allowed. It refuses requests of pages of other sites in a browser on
 * this machine, including sites whose name was made to resolve to it (DNS rebinding). Programs other than browsers send
 * no such headers and are allowed.
 * @param mayLink Whether a link on a page of another site may lead here. Default: false.
 * @param isAllowed Whether pages of an origin may send requests here. Default: of none.
 * @param mayEmbed Whether elements of such a page, which send no Origin, may load this. Default: false.
 */
export function refusal(
  knock: Knock,
  { names, ...sites }: { readonly names: Names } & Sites,
): Refusal | undefined {
  return ofName(knock, names) ?? ofSite(knock, sites)
}

/** Which pages of other sites may send requests. */
interface Sites {
  readonly mayLink?: boolean
  readonly isAllowed?: (origin: string | undefined) => boolean
  readonly mayEmbed?: boolean
}

/**
 * The origin of the page that a browser sends a request for: by Origin or, with `mayEmbed`, by Referer, since
 * media elements and images send no Origin. A page can suppress Referer, and can't forge it. Undefined: unknown.
 */
export function pageOf(
  { headers: { origin, referer } }: Pick<IncomingMessage, 'headers'>,
  mayEmbed: boolean,
): string | undefined {
  if (origin !== undefined || !mayEmbed || referer === undefined) return origin
  return URL.canParse(referer) ? new URL(referer).origin : undefined
}

function ofName({ headers, rawHeaders }: Knock, names: Names): Refusal | undefined {
  const at = 'header host'
  const given = rawHeaders.filter((name, i) => i % 2 === 0 && /^host$/i.test(name)).length
  if (given > 1) return { at, sentence: `The request has ${given} Host headers.` }
  const host = (headers.host ?? '').replace(/:\d+$/, '')
  if (names === 'any' || isLoopback(host)) return undefined
  if (names === 'private' && (ADDRESS.test(host) || PRIVATE.test(host))) return undefined
  const expected =
    names === 'own' ? 'only localhost, 127.0.0.1 or [::1]' : 'an address or a private name'
  const shown = JSON.stringify(headers.host?.slice(0, 200) ?? '')
  return { at, sentence: `Host is ${shown}; without tokens ${expected} is expected.` }
}

/** Refuses requests of other sites: a page can make a browser send any request; CORS only guards the answer. */
function ofSite(
  { method, headers }: Knock,
  { mayLink = false, mayEmbed = false, isAllowed = () => false }: Sites,
): Refusal | undefined {
  const site = headers['sec-fetch-site']
  const { origin } = headers
  // Browsers omit Sec-Fetch-Site for hosts that are not trustworthy, such as rebound names. Then only Origin is left.
  const isOwn =
    site !== undefined
      ? site === 'same-origin' || site === 'none'
      : origin === undefined || hostOf(origin) === headers.host?.toLowerCase()
  if (isOwn) return undefined
  if (isAllowed(pageOf({ headers }, mayEmbed))) return undefined
  const isLink =
    (method === 'GET' || method === 'HEAD') &&
    headers['sec-fetch-mode'] === 'navigate' &&
    headers['sec-fetch-dest'] === 'document'
  if (isLink && mayLink) return undefined
  const at = site === undefined ? 'header origin' : 'header sec-fetch-site'
  return { at, sentence: 'The request comes from a page of another site.' }
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
