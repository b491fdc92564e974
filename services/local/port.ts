import { createServer } from 'node:net'

/** All of the chain on one machine is on loopback. */
export const HOST = '127.0.0.1'

export interface PortWish {
  /** What was asked for: that one or none. 0: any. */
  readonly port: number | undefined
  /** When nothing was asked for: this one, or any when it is taken. */
  readonly usually: number
}

/**
 * A port of loopback that is free right now.
 * @throws Error when the port that was asked for is taken.
 */
export async function freePort({ port, usually }: PortWish): Promise<number> {
  const wanted = port ?? usually
  const found = await tried(wanted)
  if (found !== undefined) return found
  if (port === undefined) return (await tried(0)) as number
  throw new Error(`port ${wanted} of ${HOST} is in use by another program: choose another one`)
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
  const { port: found } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return found
}
