import { readdir, readFile, readlink } from 'node:fs/promises'

/** The addresses on which these processes listen for TCP, e.g. `0100007F:1F90`, as Linux tells them. */
export async function listeners(pids: readonly number[]): Promise<string[]> {
  const sockets = new Set<string>()
  for (const pid of pids) {
    for (const fd of await readdir(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(
        await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''),
      )?.[1]
      if (inode !== undefined) sockets.add(inode)
    }
  }
  const found: string[] = []
  for (const table of ['tcp', 'tcp6']) {
    const text = await readFile(`/proc/net/${table}`, 'utf8').catch(() => '')
    for (const line of text.split('\n').slice(1)) {
      const [, address = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
      if (state === LISTENS && sockets.has(inode)) found.push(address)
    }
  }
  return found
}

const LISTENS = '0A'

/** 127.0.0.0/8 and ::1, as Linux writes them: the bytes of each 32 bits turned round. */
export function isLoopback(address: string): boolean {
  return /^([0-9A-F]{6}7F|0{24}01000000):/.test(address)
}
