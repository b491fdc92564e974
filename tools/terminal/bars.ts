import type { Output, Screen } from './output.ts'
import { printable } from './text.ts'

/** Bars that are redrawn, below lines that stay. */
export interface Bars {
  /** Prints a line that stays. */
  say(text: string): void
  /** Removes the bars. */
  end(): void
}

const EVERY_MS = 200
const BAR = 20

/** Draws the lines that `render` returns, five times a second; nothing without a screen. */
export function drawBars({ say, screen }: Output, render: () => readonly string[]): Bars {
  if (screen === undefined) return { say, end() {} }
  const terminal: Screen = screen
  let drawn = 0
  const erase = () => {
    if (drawn > 0) terminal.write(`\x1b[${drawn}A\x1b[J`)
    drawn = 0
  }
  const draw = () => {
    erase()
    const most = (terminal.columns ?? 80) - 1
    const lines = render().map((line) => printable(line).slice(0, most))
    if (lines.length > 0) terminal.write(`${lines.join('\n')}\n`)
    drawn = lines.length
  }
  const timer = setInterval(draw, EVERY_MS)
  return {
    say(text) {
      erase()
      say(text)
      draw()
    },
    end() {
      clearInterval(timer)
      erase()
    },
  }
}

/** `███████░░░  70 %  words` for a share from 0 to 1. */
export function bar(share: number, words: string): string {
  const full = Math.floor(Math.min(1, Math.max(0, share)) * BAR)
  const percent = `${Math.floor(share * 100)}`.padStart(3)
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${percent} %  ${words}`
}
