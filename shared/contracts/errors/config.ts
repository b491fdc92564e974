/** A setting that a process cannot start with. */
export interface ConfigFault {
  /** The environment variable, e.g. TRACKCHAIN_PORT. */
  readonly variable: string
  /** What was wrong and what was expected, as the rest of a sentence that begins with the variable. */
  readonly wrong: string
}

/** The exit code of a process whose configuration is wrong: starting it again changes nothing. */
export const CONFIG_EXIT = 2

/** The configuration is wrong. The message names every variable at fault; a stack would add nothing. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly ConfigFault[]

  constructor(faults: readonly ConfigFault[], options?: ErrorOptions) {
    super(faults.map(({ variable, wrong }) => `${variable} ${wrong}`).join('; '), options)
    this.faults = faults
  }
}
