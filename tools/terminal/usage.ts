import { resolve } from 'node:path'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { sentence } from '#shared/contracts/errors/sentence.ts'

/** The command line is wrong. The message is complete; no stack trace is needed. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError that names the flag. */
export function parsed<const O extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: O,
  allowPositionals = false,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals, strict: true })
  } catch (error) {
    throw new UsageError(`${sentence(error).split('. To specify')[0]}. --help tells the flags.`)
  }
}

/** The port that a flag names. @throws UsageError when it is not a port. */
export function portFrom(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new UsageError(`--${flag} must be a port from 0 to 65535, got ${text}.`)
}

/** The `core_slowdown` of a route: how many times slower a core is than the reference. Default: 1. @throws UsageError */
export function slowdownFrom(text: string | undefined): number {
  return numberFrom('core-slowdown', text, { usually: 1, least: 0.1, most: 20 })
}

/** A path relative to the folder where the command was typed: npm runs its scripts in the package's own folder. */
export function pathFrom(path: string): string {
  return resolve(process.env.INIT_CWD ?? process.cwd(), path)
}

/** A whole number from 1 to `most`. @throws UsageError that names the flag. */
export function count(
  flag: string,
  text: string | undefined,
  most: number,
): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= 1 && number <= most) return number
  throw new UsageError(`--${flag} must be a whole number from 1 to ${most}, got ${text}.`)
}

/** A number from `least` to `most`, `usually` when none was given. @throws UsageError that names the flag. */
export function numberFrom(
  flag: string,
  text: string | undefined,
  { usually, least, most }: { usually: number; least: number; most: number },
): number {
  if (text === undefined) return usually
  const number = Number(text)
  if (text.trim() !== '' && number >= least && number <= most) return number
  const upTo = most === Number.MAX_VALUE ? '' : ` to ${most}`
  throw new UsageError(`--${flag} must be a number from ${least}${upTo}, got ${text}.`)
}
