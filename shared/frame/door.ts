import type { IncomingMessage } from 'node:http'

/** What of a request says who has sent it. */
type Knock = Pick<IncomingMessage, 'method' | 'headers' | 'rawHeaders'>

/**
 * By which names a port may be asked. `own`: those of this machine's loopback. `private`: addresses, and names that no
 * site of the internet can have, for a port that others of the same network look at. `any`: where callers prove who they
 * are.
 */
export type Names = 'own' | 'private' | 'any'

interface Refusal {
  /** What is at fault, e.g. `header host`. */
  readonly at: string
  readonly sentence: string
}

const LOOPBACK = /^(?:localhost|(?:[a-z0-9-]+\.)+localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/i
/** One label, or below a domain that nobody can register: RFC 6761, RFC 6762, ICANN's .internal, and Kubernetes' own. */
const PRIVATE = /^[a-z0-9-]+$|\.(?:local|internal|svc)$/i

/** Whether a host is this machine alone, to be bound to or asked for. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host)
}

/** The names by which a port that is bound to `host` may be asked when it asks nobody who he is. */
export function namesOf(host: string): Names {
  return isLoopback(host) ? 'own' : 'private'
}

/**
 * Why a request may not come in; undefined when it may. Kept out are pages of other sites in a browser on this
 * machine, also those whose name was made to resolve to it (DNS rebinding). A program that is no browser says nothing of
 * a page and comes in.
 * @param mayLink whether a link on a page of another site may lead here
 */
export function refusal(
  knock: Knock,
  { names, mayLink = false }: { readonly names: Names; readonly mayLink?: boolean },
): Refusal | undefined {
  return ofName(knock, names) ?? ofSite(knock, mayLink)
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
  const told = JSON.stringify(headers.host?.slice(0, 200) ?? '')
  return { at, sentence: `Host is ${told}; without tokens ${expected} is expected.` }
}

/** A page can make a browser send anything anywhere; only reading the answer would need CORS. */
function ofSite({ method, headers }: Knock, mayLink: boolean): Refusal | undefined {
  const site = headers['sec-fetch-site']
  const { origin } = headers
  // Browsers say nothing of the site to a name that was rebound: then Origin is all there is.
  const isOwn =
    site !== undefined
      ? site === 'same-origin' || site === 'none'
      : origin === undefined || hostOf(origin) === headers.host?.toLowerCase()
  if (isOwn) return undefined
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
