// A step of a chain of plain handlers, in a process of its own: chains.ts starts it.
import type { ChainStep } from '#shared/contracts/stages.ts'
import { KINDS, type KindName } from './kinds.ts'
import { serveStep } from './serve-step.ts'
import { stepWork } from './step-work.ts'

/** What the process is told by its only argument. */
export interface StepOrder {
  readonly kind: KindName
  readonly step: ChainStep
  readonly address: string
  /** URI of the store of assets. Absent: the handlers only pass jobs on. */
  readonly assets?: string | undefined
}

/** How often the last step tells how many jobs have come out, ms. */
const TELL_MS = 10

const { kind, step, address, assets } = JSON.parse(process.argv[2] ?? '{}') as StepOrder
const queue = await KINDS[kind].open(address)
const work = assets === undefined ? undefined : stepWork(assets)
const out = new Set<string>()
await serveStep(queue, step, { work, onOut: (requestId) => out.add(requestId) })

let told = 0
const telling = setInterval(() => {
  if (out.size === told) return
  told = out.size
  process.send?.({ out: told })
}, TELL_MS)
process.send?.({ ready: true })
process.once('SIGTERM', async () => {
  clearInterval(telling)
  await queue.close()
  process.disconnect?.()
})
