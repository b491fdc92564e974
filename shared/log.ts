import { type Logger, pino, stdTimeFunctions } from 'pino'

export type Log = Logger

/** Google Cloud Logging's names for pino's levels. */
const SEVERITY: Readonly<Record<string, string>> = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
}

/** JSON lines on stdout, as Cloud Logging reads them: `severity`, `message`, `time`, `service`. */
export function createLog(service: string, level = 'info'): Log {
  return pino({
    level,
    base: { service },
    messageKey: 'message',
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ severity: SEVERITY[label] ?? 'DEFAULT' }) },
    redact: ['req.headers.authorization', 'headers.authorization'],
  })
}
