import { sentence } from '#shared/contracts/errors/sentence.ts'

const AGAIN_MS = 1_000

/** A write that is retried until it succeeds: a full disk must not end the process. */
interface Eventual {
  /** Writes now; if that fails, retries each second until it succeeds. Never throws. */
  save(): void
  /** Ends the retries. */
  stop(): void
}

/**
 * @param write writes the whole state; it is called again until it does not throw
 * @param fault is called with a sentence at the first failure, and when the write has succeeded after all
 */
export function eventually(
  what: string,
  write: () => void,
  fault: (sentence: string) => void = () => {},
): Eventual {
  let again: NodeJS.Timeout | undefined
  let isStopped = false
  const save = () => {
    if (isStopped) return
    try {
      write()
      if (again !== undefined) fault(`${what} has been written`)
      clearInterval(again)
      again = undefined
    } catch (error) {
      if (again !== undefined) return
      again = setInterval(save, AGAIN_MS)
      again.unref()
      fault(`${what} can't be written: ${sentence(error)}; trying on`)
    }
  }
  return {
    save,
    stop() {
      isStopped = true
      clearInterval(again)
    },
  }
}
