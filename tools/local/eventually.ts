import { sentence } from '#shared/contracts/errors/chain.ts'

const AGAIN_MS = 1_000

/** Something that is written when it can be: a full disk must not end who writes it. */
interface Eventual {
  /** Writes now or, where that fails, again each second until it succeeds. Never throws. */
  save(): void
  /** Tries no more. */
  stop(): void
}

/**
 * @param write what is to be there in the end; it is called again until it does not throw
 * @param fault is told in a sentence of the first failure, and when all is well again
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
