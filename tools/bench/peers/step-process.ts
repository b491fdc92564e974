// A step of a chain of plain handlers, in a process of its own: chains.ts starts it.
import type { ChainStep } from '#shared/contracts/stages.ts'
import { KINDS, type KindName } from './kinds.ts'
import { serveStep } from './serve-step.ts'
import { stepWork } from './step-work.ts'

/** What its only argument says. */
export interface StepOrder {
  readonly kind: KindName
  readonly step: ChainStep
  readonly address: string
  /** URI of the store of assets. Absent: the handlers only pass jobs on. */
  readonly assets?: string | undefined
}

/** How often the last step reports how many jobs have come out, ms. */
const REPORT_MS = 10

const { kind, step, address, assets } = JSON.parse(process.argv[2] ?? '{}') as StepOrder
const queue = await KINDS[kind].open(address)
const work = assets === undefined ? undefined : stepWork(assets)
const out = new Set<string>()
await serveStep(queue, step, { work, onOut: (requestId) => out.add(requestId) })

let reported = 0
const reporting = setInterval(() => {
  if (out.size === reported) return
  reported = out.size
  process.send?.({ out: reported })
}, REPORT_MS)
process.send?.({ ready: true })
process.once('SIGTERM', async () => {
  clearInterval(reporting)
  await queue.close()
  process.disconnect?.()
})
