import { stripVTControlCharacters } from 'node:util'

/** The part of a track that is shown. */
interface Shown {
  readonly guid: string
}

/** Shows the state of tracks to the person at the terminal. */
interface Progress {
  set(track: Shown, state: string): void
  end(): void
}

interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** One line that is redrawn on a terminal; elsewhere a line for each change. */
export function progress(tracks: readonly Shown[], terminal: Terminal): Progress {
  const states = new Map<Shown, string>()
  const started = performance.now()
  let timer: NodeJS.Timeout | undefined

  function draw(): void {
    const counts = new Map<string, number>()
    for (const state of states.values()) counts.set(state, (counts.get(state) ?? 0) + 1)
    const parts = [...counts].map(([state, count]) => `${count} ${state}`)
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    const line = `${tracks.length} ${tracks.length === 1 ? 'track' : 'tracks'}: ${parts.join(', ')}  ${seconds} s`
    terminal.write(
      `\r\x1b[2K${stripVTControlCharacters(line).slice(0, (terminal.columns ?? 80) - 1)}`,
    )
  }

  if (terminal.isTTY) timer = setInterval(draw, 200)
  return {
    set(track, state) {
      if (states.get(track) === state) return
      states.set(track, state)
      if (!terminal.isTTY) terminal.write(`${track.guid}: ${state}\n`)
    },
    end() {
      if (!timer) return
      clearInterval(timer)
      draw()
      terminal.write('\n')
    },
  }
}
