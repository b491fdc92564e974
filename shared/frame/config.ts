import { readFileSync } from 'node:fs'
import { Type } from 'typebox'
import { ConfigError, type ConfigFault } from '../contracts/errors/config.ts'
import { sentence } from '../contracts/errors/sentence.ts'
import { compile, type Fault } from '../contracts/validator.ts'
import { type Config, READERS, type Reader, Settings } from './settings.ts'

const PREFIX = 'TRACKCHAIN_'
/** Of these settings, `variableOf(name)` + FILE names a file that holds the value. */
const FILE = '_FILE'
/** Variables of the same prefix that only the commands read, and services ignore: docs/start/cli.md. */
export const OF_COMMANDS: readonly string[] = ['TRACKCHAIN_TARGET', 'TRACKCHAIN_TOKEN']

/** The schema of a setting. */
export interface Property {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly default?: unknown
  readonly description?: string
  readonly writeOnly?: boolean
}

export const PROPERTIES = Object.entries<Property>(Settings.properties)

/** The environment variable of a setting. */
export function variableOf(setting: string): string {
  return PREFIX + setting.toUpperCase()
}

/** Whether the value of a setting may be in a file instead: JSON, and what is secret. */
export function mayBeInFile({ type, writeOnly }: Property): boolean {
  return type === 'object' || type === 'array' || writeOnly === true
}

/**
 * Reads the configuration of this process, frozen. No other code reads process.env.
 * @throws ConfigError that lists all faults at once, unknown TRACKCHAIN_ variables included.
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const faults: ConfigFault[] = []
  const values: Record<string, unknown> = {}
  const defaults: Record<string, unknown> = {}
  const known = new Set(OF_COMMANDS)
  for (const [name, property] of PROPERTIES) {
    const variable = variableOf(name)
    known.add(variable)
    if (mayBeInFile(property)) known.add(variable + FILE)
    const text = textOf(variable, property, env, faults)
    if (text !== undefined) values[name] = typed(text, property)
    else if (property.default !== undefined) defaults[name] = property.default
  }
  for (const variable of Object.keys(env))
    if (variable.startsWith(PREFIX) && !known.has(variable))
      faults.push({
        variable,
        wrong: 'is not a setting: docs/reference/configuration.md lists them',
      })
  if ('routes' in values) values.routes = withDefaults(values.routes)
  try {
    const config = { ...defaults, ...checked(values, defaults) } as Config
    if (faults.length === 0) return Object.freeze(config)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    faults.push(...error.faults)
  }
  throw new ConfigError(faults)
}

/** The settings as environment variables, for a child process. */
export function configEnv(config: Partial<Config>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => [
      variableOf(name),
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}

/** What of a configuration a reader needs, without secrets, for a process that others can look at. */
export function configFor(reader: Reader, config: Config): Partial<Config> {
  const shown = PROPERTIES.filter(
    ([name, { writeOnly }]) =>
      READERS[name as keyof Config].includes(reader) && writeOnly !== true,
  )
  return Object.fromEntries(shown.map(([name]) => [name, config[name as keyof Config]]))
}

/**
 * Checks the settings that have no other value by default. The schema of all settings takes twice as long to compile, which
 * is a thirtieth of a start, and defaults are checked by a test.
 */
function checked(
  values: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
): Partial<Config> {
  const given = Object.entries(Settings.properties).filter(([name]) => !(name in defaults))
  const check = compile<Partial<Config>>(
    Type.Object(Object.fromEntries(given)),
    'configuration',
    (_sentence, _at, faults) => new ConfigError(faults.map(toConfigFault)),
  )
  return check(values)
}

/** The text of a setting: the variable's own, or that of the file which the other variable names. */
function textOf(
  variable: string,
  property: Property,
  env: Readonly<Record<string, string | undefined>>,
  faults: ConfigFault[],
): string | undefined {
  const [text, file] = [env[variable], env[variable + FILE]]
  if (file === undefined || !mayBeInFile(property)) return text
  if (text !== undefined) {
    const wrong = `and ${variable}${FILE} are both set; expected one of them`
    faults.push({ variable, wrong })
    return text
  }
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    const wrong = `names a file that cannot be read: ${sentence(error)}`
    faults.push({ variable: variable + FILE, wrong })
    return undefined
  }
}

function typed(text: string, { type }: Property): unknown {
  if (type === 'string' || type === undefined) return text
  if (type === 'integer' || type === 'number') return text.trim() === '' ? text : Number(text)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Routes with what each leaves out. Anything else is returned as it is, and the schema refuses it. */
function withDefaults(routes: unknown): unknown {
  if (typeof routes !== 'object' || routes === null || Array.isArray(routes)) return routes
  const whole = (route: unknown) =>
    typeof route === 'object' && route !== null && !Array.isArray(route)
      ? { templates: [], prefixes: [], core_slowdown: 1, ...route }
      : route
  return Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, whole(route)]))
}

function toConfigFault({ at, wrong, property }: Fault): ConfigFault {
  const [, name = property ?? '', ...below] = at.split('/')
  const variable = variableOf(name)
  if (below.length > 0) return { variable, wrong: `/${below.join('/')} ${wrong}` }
  if (at !== '') return { variable, wrong }
  const { description } = Object.fromEntries(PROPERTIES)[name] ?? {}
  return { variable, wrong: `is missing; expected: ${description}` }
}
