import { forecast } from './forecast.ts'
import { spent } from './spent.ts'

/** Prints what tracks would cost or, with `--by`, what has been spent. @returns the exit code. */
export async function costs(args: readonly string[]): Promise<number> {
  const isBy = args.some((arg) => arg === '--by' || arg.startsWith('--by='))
  return await (isBy ? spent(args) : forecast(args))
}
