import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { Config } from '#shared/frame/settings.ts'

export type ProxySettings = Pick<Config, 'trusted_proxies' | 'proxy_hops'>

/**
 * Returns a function that finds the client's address. It is the address of the connection or, if that is a
 * trusted proxy, the `proxy_hops`th entry from the end of X-Forwarded-For. Entries before that one were written
 * by the client and are ignored. Of an IPv6 address only the first 64 bits are returned, because a client owns
 * a whole /64.
 * @throws Error when a trusted proxy is not a CIDR
 */
export function clientAddresses({
  trusted_proxies,
  proxy_hops,
}: ProxySettings): (request: Pick<IncomingMessage, 'socket' | 'headers'>) => string {
  const trusted = new BlockList()
  for (const cidr of trusted_proxies) {
    const [address = '', bits = ''] = cidr.split('/')
    try {
      trusted.addSubnet(address, Number(bits), family(address))
    } catch (error) {
      throw new Error(`TRACKCHAIN_TRUSTED_PROXIES has ${cidr}, which is no CIDR`, {
        cause: error,
      })
    }
  }
  return ({ socket, headers }) => {
    const peer = plain(socket.remoteAddress ?? '')
    const isTrusted = isIP(peer) !== 0 && trusted.check(peer, family(peer))
    const forwarded = isTrusted ? `${headers['x-forwarded-for'] ?? ''}`.split(',') : []
    const client = plain(forwarded.at(-proxy_hops)?.trim() ?? '')
    return network(isIP(client) === 0 ? peer : client)
  }
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

/** The IPv4 address without the prefix that a dual-stack socket adds. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}

function network(address: string): string {
  if (isIP(address) !== 6) return address
  // URL brings the address into its shortest form. A zone is cut off: URLs do not allow it, and it says nothing
  // of the network.
  const [front = '', back] = new URL(`http://[${address.replace(/%.*$/, '')}]/`).hostname
    .slice(1, -1)
    .split('::')
  const groups = front === '' ? [] : front.split(':')
  const missing =
    back === undefined ? 0 : 8 - groups.length - back.split(':').filter(Boolean).length
  const all = [...groups, ...Array<string>(missing).fill('0'), ...(back ?? '').split(':')]
  return `${all.slice(0, 4).join(':')}::/64`
}
