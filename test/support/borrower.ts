// Borrows cores of its parent as it is told: take, try, give back the oldest, wait for one and give up.
import { LentCores } from '#shared/frame/cores.ts'

const cores = new LentCores()
const held: (() => void)[] = []
const tell = (said: string) => process.send?.({ said })

process.on('message', async (told) => {
  if (told === 'take') {
    held.push(await cores.take(AbortSignal.timeout(60_000)))
    tell('took')
  } else if (told === 'try') {
    const leave = await cores.tryTake()
    if (leave) held.push(leave)
    tell(leave ? 'took' : 'none')
  } else if (told === 'give') {
    held.shift()?.()
  } else if (told === 'give up') {
    await cores.take(AbortSignal.timeout(100)).catch(() => tell('gave up'))
  }
})
tell('here')
