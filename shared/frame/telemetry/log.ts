import { write } from 'node:fs'
import {
  type DestinationStream,
  type Logger,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from 'pino'
import { sentence } from '../../contracts/errors/chain.ts'

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
  const options = {
    level,
    base: { service },
    messageKey: 'message',
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ severity: SEVERITY[label] ?? 'DEFAULT' }) },
    serializers: { err: told },
    redact: ['req.headers.authorization', 'headers.authorization'],
  }
  return pino(options, background(1))
}

/** An error as pino has it. One that throws when it is looked at must not end the process that tells of it. */
function told(error: Error): unknown {
  try {
    return stdSerializers.err(error)
  } catch {
    return { message: sentence(error) }
  }
}

/** Waits until what was logged is written, `ms` milliseconds at most. */
export function flushed(log: Log, ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
    log.flush(() => resolve())
  })
}

/** Characters that may wait for a slow reader; what comes on top is dropped. */
const MAX_WAITING = 16 << 20
const AGAIN_MS = 20

/**
 * Writes to a file descriptor in the background: whoever reads our lines slowly, or has died, must not hold up
 * the service. Not pino's own destination, which on a broken pipe tries for ever to flush at exit.
 */
function background(fd: number): DestinationStream & { flush(done: () => void): void } {
  let waiting = ''
  let isWriting = false
  let drained: (() => void)[] = []

  function next(): void {
    if (waiting === '') {
      isWriting = false
      for (const done of drained.splice(0)) done()
      return
    }
    const bytes = Buffer.from(waiting)
    waiting = ''
    attempt(bytes)
  }
  function attempt(bytes: Buffer): void {
    write(fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(attempt, AGAIN_MS, bytes)
      else if (error) {
        // Nobody reads us any more.
        waiting = ''
        next()
      } else if (written < bytes.length) attempt(bytes.subarray(written))
      else next()
    })
  }
  return {
    write(line) {
      if (waiting.length > MAX_WAITING) return
      waiting += line
      if (isWriting) return
      isWriting = true
      next()
    },
    flush(done) {
      if (isWriting) drained = [...drained, done]
      else done()
    },
  }
}
