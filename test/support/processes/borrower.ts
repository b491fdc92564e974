// Borrows cores of its parent by command: take, give back the oldest, wait for one and give up; or take one once its
// input has ended, while it has no chance to notice that its parent has gone.
import { readFileSync } from 'node:fs'
import { SharedCores } from '#shared/frame/cores.ts'

const cores = new SharedCores()
const held: (() => void)[] = []
const tell = (said: string) => process.send?.({ said })

process.on('message', async (command) => {
  if (command === 'take') {
    held.push(await cores.take(AbortSignal.timeout(60_000)))
    tell('took')
  } else if (command === 'give') {
    held.shift()?.()
  } else if (command === 'give up') {
    await cores.take(AbortSignal.timeout(100)).catch(() => tell('gave up'))
  } else if (command === 'outlive') {
    tell('waits')
    readFileSync(0)
    void cores.take(AbortSignal.timeout(60_000))
  }
})
tell('here')
