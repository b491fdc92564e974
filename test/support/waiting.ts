import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitingIn } from '../../tools/local/pubsub/sqlite-journal.ts'

/**
 * How many messages of a local Pub/Sub server are not acknowledged, by subscription; none waits where it has no key.
 * The server keeps its file locked, so a copy is read.
 * @param queue the SQLite file of the server
 */
export async function waitingOf(queue: string): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-waiting-'))
  try {
    const copy = join(folder, 'copy.sqlite')
    await copyFile(queue, copy)
    await copyFile(`${queue}-wal`, `${copy}-wal`).catch(() => {})
    return waitingIn(copy)
  } finally {
    await rm(folder, { recursive: true })
  }
}
