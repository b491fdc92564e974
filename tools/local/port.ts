import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** The address that every process of a chain on one machine listens on: loopback. */
export const HOST = '127.0.0.1'

/**
 * Ports from 20,000 to 32,767. Linux gives ports from 32,768 on to outgoing connections, other systems from 49,152 on
 * (RFC 6335).
 */
const LOWEST = 20_000
const HIGHEST = 32_767
const MAX_TRIES = 200

interface PortWish {
  /** The requested port, the only one that will do. 0: any free port. */
  readonly port: number | undefined
  /** The port without a request; any free port when it is taken. */
  readonly usually: number
}

/**
 * A port of loopback that is free right now.
 * @throws Error when the requested port is taken.
 */
export async function freePort({ port, usually }: PortWish): Promise<number> {
  const wanted = port ?? usually
  if (wanted === 0) return anyPort()
  const found = await tried(wanted)
  if (found !== undefined) return found
  if (port === undefined) return anyPort()
  throw new Error(`port ${wanted} of ${HOST} is in use by another program: choose another one`)
}

/**
 * Any port of loopback that is free right now, of those that no system gives to outgoing connections: such a
 * connection could take the port before its service listens, or while it restarts.
 * @throws Error when there is none.
 */
export async function anyPort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const found = await tried(randomInt(LOWEST, HIGHEST + 1))
    if (found !== undefined) return found
  }
  throw new Error(`no port from ${LOWEST} to ${HIGHEST} of ${HOST} is free`)
}

async function tried(port: number): Promise<number | undefined> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, HOST, resolve)
    })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') return undefined
    throw code === 'EACCES'
      ? new Error(`port ${port} is not for this user`, { cause: error })
      : error
  }
  await new Promise((resolve) => server.close(resolve))
  return port
}
