import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

interface BlackHole {
  readonly port: number
  /**
   * Passes nothing on any more and closes nothing, as a link that is cut. `openOnly`: on connections that are open now.
   */
  swallow(which?: 'openOnly'): void
  /** Passes on what has come meanwhile, and all that follows. */
  release(): void
  close(): Promise<void>
}

/** A way to a port or a socket (its path) of this machine that can be cut. */
export async function blackHole(target: number | string): Promise<BlackHole> {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer((near) => {
    const far = typeof target === 'string' ? connect(target) : connect(target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (chunk) => to.write(chunk))
      from.on('error', () => {}).on('close', () => to.destroy())
      if (isCut) from.pause()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    swallow(which) {
      isCut = which !== 'openOnly'
      for (const socket of sockets) socket.pause()
    },
    release() {
      isCut = false
      for (const socket of sockets) socket.resume()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
