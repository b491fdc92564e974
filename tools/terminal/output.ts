import { printable } from './text.ts'

/** Where a command speaks. */
export interface Output {
  /** What was asked for. */
  say(text: string): void
  /** What else there is to know. */
  note(text: string): void
  /** Aborts when whoever read what is said has gone (| head). */
  readonly gone: AbortSignal
  /** Where bars are drawn; undefined where nobody would see them. */
  readonly screen?: Screen | undefined
}

/** A terminal that obeys. */
export interface Screen {
  readonly columns?: number
  write(text: string): unknown
}

const gone = new AbortController()
// A terminal that has gone is no reason to end; whoever only tells looks at `gone`.
process.stdout.on('error', () => gone.abort())
process.stderr.on('error', () => {})

export const TERMINAL: Output = {
  say: (text) => process.stdout.write(`${text}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
  gone: gone.signal,
  screen: process.stderr.isTTY ? process.stderr : undefined,
}

/** A JSON document on one line, with nothing in it that a terminal obeys. */
export function jsonLine(value: unknown): string {
  return printable(JSON.stringify(value))
}

/** Resolves once all that was said has been taken, or nobody takes it any more. */
export async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr])
    await new Promise((done) => stream.write('', done))
}
