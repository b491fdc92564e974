import { CORE_WAIT_MS, CORES } from '#shared/cores.ts'
import { sentence } from '#shared/errors.ts'
import { atZero } from '#shared/metrics.ts'
import { service } from '#shared/service.ts'
import { SCRATCH_AGE_MS, sweepRuns, TEMPORARY_AGE_MS } from '#shared/store/sweep.ts'
import { stageTopic } from '#shared/topology.ts'
import { stageStep } from './stage.ts'

const SWEEP_EVERY_MS = 3600_000

await service('stage', async (service) => {
  const { config, registry, locate, scratch, uploads, cores, lifecycle, log } = service
  const { concurrency, consume, metrics } = service
  const step = stageStep({ registry, locate, uploads, config, cores })
  // Mostly small reads; masters that have to be converted wait for a core, and their lease is extended meanwhile.
  const atOnce = concurrency(CORES * 25)
  const waitMs = Math.ceil(atOnce / CORES) * CORE_WAIT_MS
  consume(stageTopic('stage', config.route), step, { concurrency: atOnce, waitMs })

  // What a run should have removed itself is told apart: it means that something is wrong.
  const of = { step: 'sweep' }
  atZero(metrics.collected, [of])
  async function sweep(): Promise<void> {
    const signal = lifecycle.stopping
    // Stores without leftovers of their own have a lifecycle that does all of this.
    if (scratch.sweepTemporary !== undefined)
      metrics.collected.add(await sweepRuns(scratch, SCRATCH_AGE_MS, signal), of)
    await scratch.sweepTemporary?.(TEMPORARY_AGE_MS, { signal })
    await uploads.sweepTemporary?.(TEMPORARY_AGE_MS, { signal })
  }
  const timer = setInterval(() => {
    sweep().catch((error) => log.warn({ error: sentence(error) }, 'scratch could not be swept'))
  }, SWEEP_EVERY_MS)
  lifecycle.onClose('sweep', async () => clearInterval(timer))
})
