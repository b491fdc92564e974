import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { ConfigError } from '../contracts/errors/config.ts'
import { sentence } from '../contracts/errors/sentence.ts'
import { EXTENSION_PATTERN } from '../contracts/messages/place.ts'
import { ASSET_ID_PATTERN } from '../contracts/names.ts'
import { MAKING_STAGES } from '../contracts/stages.ts'
import { variableOf } from '../frame/config.ts'
import type { Config } from '../frame/settings.ts'
import type { Derivative } from './definition.ts'

/** The derivative assets that can be made, by id. */
export interface Registry extends ReadonlyMap<string, Derivative> {
  /** The ids of the operator's own assets. Default: none. */
  readonly own?: ReadonlySet<string>
}

const BUILT_IN = fileURLToPath(new URL('./built-in/', import.meta.url))

/**
 * Loads the derivative assets of a service: the built-in ones and those of the configured folder.
 * @throws ConfigError that names the file and its fault: starting the service again would not mend it
 */
export async function configuredRegistry({
  derivatives,
}: Pick<Config, 'derivatives'>): Promise<Registry> {
  try {
    return await loadRegistry(derivatives)
  } catch (cause) {
    const wrong = `cannot be loaded: ${sentence(cause)}`
    throw new ConfigError([{ variable: variableOf('derivatives'), wrong }], { cause })
  }
}

/**
 * Loads all derivative assets: each `.ts`, `.js` or `.mjs` file of the built-in folder and of the folder `extra`, which
 * has the operator's own (default: none). The folders are the registry.
 * @throws Error that names the file when it does not define an asset, or when its id is taken; or the folder.
 */
export async function loadRegistry(extra = ''): Promise<Registry> {
  const registry = new Map<string, Derivative>()
  const own = new Set<string>()
  for (const folder of [BUILT_IN, ...(extra === '' ? [] : [resolve(extra)])]) {
    for (const file of await filesOf(folder)) {
      const path = join(folder, file)
      const derivative = await loadDefinition(path)
      if (registry.has(derivative.id)) throw new Error(`${path}: ${derivative.id} is taken`)
      registry.set(derivative.id, derivative)
      if (folder !== BUILT_IN) own.add(derivative.id)
    }
  }
  return Object.assign(registry, { own })
}

/** Loads the definition in a file. @throws Error that names the file, with its fault in one sentence. */
export async function loadDefinition(path: string): Promise<Derivative> {
  let module: { default?: unknown }
  try {
    module = await import(pathToFileURL(path).href)
  } catch (error) {
    const name = error instanceof Error ? error.name : 'Error'
    const [why] = sentence(error).trim().split('\n')
    throw new Error(`${path}: it cannot be loaded: ${name}: ${why}`, { cause: error })
  }
  return checkDerivative(module.default, path)
}

async function filesOf(folder: string): Promise<readonly string[]> {
  try {
    const files = await readdir(folder)
    return files.filter((name) => /(?<!\.d)\.(ts|js|mjs)$/.test(name)).sort()
  } catch (error) {
    throw new Error(`the folder of derivative assets cannot be read: ${sentence(error)}`)
  }
}

/** Checks a definition. @throws Error with the fault and the file. */
function checkDerivative(value: unknown, path: string): Derivative {
  const fault = (what: string) => new Error(`${path}: ${what}`)
  if (typeof value !== 'object' || value === null) {
    throw fault('the default export must be a definition: export default defineDerivative({…})')
  }
  const given = value as Record<string, unknown>
  if (typeof given.id !== 'string' || !new RegExp(ASSET_ID_PATTERN).test(given.id)) {
    throw fault(`id must match ${ASSET_ID_PATTERN}, got ${inspect(given.id)}`)
  }
  if (!Number.isInteger(given.version) || (given.version as number) < 1) {
    throw fault(`version must be an integer from 1, got ${inspect(given.version)}`)
  }
  if (!MAKING_STAGES.some((stage) => stage === given.stage)) {
    throw fault(`stage must be ${MAKING_STAGES.join(' or ')}, got ${inspect(given.stage)}`)
  }
  const files = Object.entries((given.files ?? {}) as Record<string, unknown>)
  if (files.length === 0) throw fault('files must name at least one extension')
  for (const [extension, type] of files) {
    if (!new RegExp(EXTENSION_PATTERN).test(extension))
      throw fault(`bad extension ${extension}`)
    if (typeof type !== 'string' || !/^[a-z]+\/[\w.+-]+/.test(type)) {
      throw fault(`the content type of ${extension} must be one, got ${inspect(type)}`)
    }
  }
  const cost = given.cost as Record<string, unknown> | undefined
  if (![cost?.fixedMs, cost?.msPerSecond].every((n) => typeof n === 'number' && n >= 0)) {
    throw fault('cost must give fixedMs and msPerSecond, both ≥ 0')
  }
  const whole = typeof given.render === 'function'
  const split = typeof given.part === 'function' && typeof given.join === 'function'
  if (whole === split) throw fault('give either render, or part and join (with grid)')
  if (split && !(Number.isInteger(given.grid) && (given.grid as number) >= 1)) {
    throw fault(`grid must be an integer number of samples from 1, got ${inspect(given.grid)}`)
  }
  return value as Derivative
}
