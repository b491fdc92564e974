import { printable } from './text.ts'

/** Where a command prints. */
export interface Output {
  /** Prints a line of the result, to stdout. */
  say(text: string): void
  /** Prints a line that is not part of the result, to stderr. */
  note(text: string): void
  /** Aborts when the reader of stdout has exited (| head). */
  readonly gone: AbortSignal
  /** Where bars are drawn; undefined without a terminal. */
  readonly screen?: Screen | undefined
}

/** A terminal that interprets control sequences. */
export interface Screen {
  readonly columns?: number
  write(text: string): unknown
}

const gone = new AbortController()
// A reader that has exited does not end the process; commands that only print watch `gone`.
process.stdout.on('error', () => gone.abort())
process.stderr.on('error', () => {})

export const TERMINAL: Output = {
  say: (text) => process.stdout.write(`${text}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
  gone: gone.signal,
  screen: process.stderr.isTTY ? process.stderr : undefined,
}

/** A JSON document on one line, with nothing in it that a terminal interprets. */
export function jsonLine(value: unknown): string {
  return printable(JSON.stringify(value))
}

/** Resolves once all output has been written, or its reader has exited. */
export async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr])
    await new Promise((done) => stream.write('', done))
}
