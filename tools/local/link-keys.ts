import { randomBytes } from 'node:crypto'
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { variableOf } from '#shared/frame/config.ts'
import type { DataFolder } from './data-folder.ts'

/**
 * The keys by which ingest signs links to assets: those of the environment, else one that is made with the data folder,
 * so that links outlive a restart. Where it can't be kept, ingest makes one of its own at each start.
 * @param notice Called with a sentence when the key can't be kept.
 * @returns the variables of ingest
 */
export function linkKeys(
  { linkKeys: path }: Pick<DataFolder, 'linkKeys'>,
  notice: (sentence: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const variable = variableOf('link_keys')
  const file = `${variable}_FILE`
  if (env[variable] !== undefined || env[file] !== undefined) return {}
  try {
    if (!existsSync(path)) create(path)
    return { [file]: path }
  } catch (error) {
    notice(`The key for links to assets cannot be kept: ${sentence(error)}`)
    return {}
  }
}

/** Under another name first: a file that a crash or a full disk has left half written would be found at each start. */
function create(path: string): void {
  const unfinished = `${path}.new`
  rmSync(unfinished, { force: true })
  const keys = JSON.stringify([randomBytes(32).toString('base64url')])
  writeFileSync(unfinished, keys, { mode: 0o600, flush: true })
  renameSync(unfinished, path)
}
