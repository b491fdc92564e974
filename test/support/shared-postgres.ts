import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../tools/local/postgres/postgres.ts'
import { SETTINGS, SHARED } from '../../tools/local/postgres/temporary.ts'

/** The most connections: each running file has some pools, and so have its services. */
const MAX_CONNECTIONS = '500'

/**
 * Starts the server that the files of a run share: a start takes more than a core-second.
 * @returns the environment variables for the files, and a function that ends the server
 */
export async function sharedPostgres(): Promise<{
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}> {
  const dataDir = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  const settings = { ...SETTINGS, max_connections: MAX_CONNECTIONS }
  const postgres = await startPostgres({ dataDir, settings })
  return {
    env: { [SHARED]: postgres.dsn },
    stop: async () => {
      await postgres.stop()
      for (const folder of new Set([dataDir, postgres.dataDir]))
        await rm(folder, { recursive: true, force: true })
    },
  }
}
