import { write } from 'node:fs'
import {
  type DestinationStream,
  type Logger,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from 'pino'
import { sentence } from '../../contracts/errors/sentence.ts'

/** A logger that writes structured lines. */
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

/** A logger that writes JSON lines to stdout as Cloud Logging reads them: `severity`, `message`, `time`, `service`. */
export function createLog(service: string, level = 'info'): Log {
  const options = {
    level,
    base: { service },
    messageKey: 'message',
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ severity: SEVERITY[label] ?? 'DEFAULT' }) },
    serializers: { err: serializeError },
    redact: ['req.headers.authorization', 'headers.authorization'],
  }
  return pino(options, background(1))
}

/** Serializes an error as pino does. An error whose properties throw must not end the process that logs it. */
function serializeError(error: Error): unknown {
  try {
    return stdSerializers.err(error)
  } catch {
    return { message: sentence(error) }
  }
}

/** Waits until all lines logged so far are written, at most `ms` milliseconds. */
export function flushed(log: Log, ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
    log.flush(() => resolve())
  })
}

/** The number of characters that may wait for a slow reader. While more are waiting, new lines are dropped. */
const MAX_WAITING = 16 << 20
/** The wait before a write is retried when the pipe is full, ms. */
const AGAIN_MS = 20

/**
 * Writes to a file descriptor in the background, so that a reader that is slow or has died does not block the service.
 * It replaces pino's own destination, which on a broken pipe tries to flush at exit for ever.
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
        // The reader has gone.
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
