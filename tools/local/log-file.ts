import {
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  type WriteStream,
} from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

/** The log of all processes of the chain, one JSON document a line. */
export interface LogFile {
  readonly path: string
  write(service: string, line: string): void
  /** Copies the output of a process to the log, line by line. */
  drain(service: string, output: Readable): void
  /** The last lines of a service, e.g. those before it died. */
  last(service: string): readonly string[]
  close(): Promise<void>
}

const MAX_BYTES = 32 << 20
/** Number of older files that are kept: trackchain.log.1 is the latest of them. */
const KEPT = 3
const LAST_LINES = 20
/** The most bytes that may wait for a slow disk; further lines are lost. */
const MAX_WAITING = 16 << 20
/** Time from a failure to the next try, ms. */
const AGAIN_MS = 1_000

/** Opens the log at `path`, making its folder; `onLine` is called with each line. */
export function openLogFile(
  path: string,
  onLine: (service: string, line: string) => void = () => {},
  maxBytes = MAX_BYTES,
): LogFile {
  mkdirSync(dirname(path), { recursive: true })
  let bytes = 0
  let stream: WriteStream | undefined
  /** Number of lines lost since the last one that was written. */
  let lost = 0
  let notBefore = 0
  const recent = new Map<string, string[]>()
  const fails = () => {
    stream = undefined
    lost++
    notBefore = performance.now() + AGAIN_MS
  }

  /**
   * The stream to write to; undefined when the file cannot be written now. Never throws: on a full disk the chain goes
   * on without its log.
   */
  function out(): WriteStream | undefined {
    if (stream !== undefined) return stream.writableLength < MAX_WAITING ? stream : undefined
    if (performance.now() < notBefore) return undefined
    try {
      const opened = append(path)
      bytes = statSync(path).size
      opened.on('error', () => {
        if (stream === opened) fails()
      })
      // The last line may be incomplete.
      if (lost > 0) opened.write('\n')
      stream = opened
    } catch {
      fails()
    }
    return stream
  }

  function rotated(): void {
    try {
      rotate(path)
      stream?.end()
      stream = undefined
    } catch {
      // The file grows on; rotation is tried again after as many bytes more.
      bytes = 0
    }
  }

  function write(service: string, text: string): void {
    if (text.trim() === '') return
    const line = asJson(service, text)
    const lines = recent.get(service) ?? []
    lines.push(text)
    if (lines.length > LAST_LINES) lines.shift()
    recent.set(service, lines)
    if (bytes + Buffer.byteLength(line) + 1 > maxBytes) rotated()
    const to = out()
    if (to === undefined) lost++
    else {
      if (lost > 0) {
        const gap = asJson('local', `about ${lost} lines of the log could not be written`)
        lost = 0
        to.write(`${gap}\n`)
      }
      bytes += Buffer.byteLength(line) + 1
      to.write(`${line}\n`)
    }
    onLine(service, line)
  }

  out()
  return {
    path,
    write,
    drain(service, output) {
      createInterface({ input: output }).on('line', (line) => write(service, line))
    },
    last: (service) => recent.get(service) ?? [],
    close: () =>
      new Promise((resolve) => {
        if (stream === undefined) resolve()
        else stream.on('close', () => resolve()).end()
      }),
  }
}

/** `12:03:44 encode   the step was done  {"job":…}`, for people. */
export function prettyLine(service: string, line: string): string {
  const { message, severity, time, service: _, ...rest } = JSON.parse(line)
  const clock = typeof time === 'string' ? time.slice(11, 19) : ''
  const level = severity === 'INFO' ? '' : ` ${severity}`
  const more = Object.keys(rest).length > 0 ? `  ${JSON.stringify(rest)}` : ''
  return `${clock} ${service.padEnd(8)}${level} ${message}${more}`
}

// Opened synchronously, so that a later rename renames this very file.
function append(path: string): WriteStream {
  return createWriteStream(path, { fd: openSync(path, 'a') })
}

function rotate(path: string): void {
  for (let n = KEPT; n >= 1; n--) {
    const from = n === 1 ? path : `${path}.${n - 1}`
    if (existsSync(from)) renameSync(from, `${path}.${n}`)
  }
}

/** A line of JSON as it is. Any other text (a stack trace, output of a tool) becomes the message of a JSON line. */
function asJson(service: string, text: string): string {
  if (text.startsWith('{')) {
    try {
      JSON.parse(text)
      return text
    } catch {}
  }
  const time = new Date().toISOString()
  return JSON.stringify({ severity: 'NOTICE', time, service, message: text })
}
