import type { EncodeJob as Job } from '#shared/contracts/messages/encode-job.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import type { AcceptedRequest } from '#shared/contracts/messages/run.ts'
import { assetName, type ObjectName, type Revision } from '#shared/contracts/names.ts'
import type { ChainStep } from '#shared/contracts/stages.ts'
import { sameBytes } from '#shared/store/driver/driver.ts'
import { locate, openStore } from '#shared/store/open.ts'
import { statedWav } from '../../../services/stage/formats/iff/stated.ts'
import { inBlocks } from '../../../services/stage/formats/in-blocks.ts'
import { masterBytes } from '../../../services/stage/formats/master-bytes.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { masterNames } from '../../../services/stage/master-names.ts'
import type { Carried } from './queue.ts'

/** The assets of `tools/bench/derivatives`, which take no audio work, as the chain names them. */
const ASSETS = {
  analyze: { id: 'nothing-analyzed', version: 1, extension: 'json', bytes: '{}' },
  encode: { id: 'nothing-encoded', version: 1, extension: 'bin', bytes: '\0' },
} as const

/** Does a step's part of a job, and returns what is handed on. */
export type StepWork = (step: ChainStep, job: Carried) => Promise<Carried>

/**
 * What a job needs at each step, whichever queue carries it: the same code on the same stores as in the chain's own
 * services, and nothing of what they do besides.
 * @param assets URI of the store of finished assets
 */
export function stepWork(assets: string): StepWork {
  const store = openStore(assets)
  const { signal } = new AbortController()

  const steps: Partial<Record<ChainStep, (job: Carried) => Promise<Carried>>> = {
    async ingest(job) {
      const checked: Job = EncodeJob.check(job)
      return checked as Carried
    },
    async stage(job) {
      const at = locate(job.master_uri)
      const stat = await at.driver.stat(at.name, { signal })
      if (stat === undefined) throw new Error(`there is no ${job.master_uri}`)
      const { bytes, revision } = stat
      const staged = { ...job, revision }
      const names = Object.values(ASSETS).map((asset) => nameOf(staged, asset))
      const found = await Promise.all(names.map((name) => store.stat(name)))
      const file = inBlocks(masterBytes(at.driver, at.name, { bytes }))
      // A master is examined only when something has to be made of it.
      await (found.includes(undefined) ? survey : statedWav)(file, signal)
      const { asset_guid, master_uri } = job
      await masterNames({ asset_guid } as AcceptedRequest, master_uri, file, signal)
      return staged
    },
    analyze: (job) => make(job, ASSETS.analyze),
    encode: (job) => make(job, ASSETS.encode),
  }

  async function make(job: Carried, asset: (typeof ASSETS)[keyof typeof ASSETS]) {
    const name = nameOf(job, asset)
    if ((await store.stat(name, { signal })) === undefined) {
      const options = { contentType: 'application/octet-stream', signal }
      sameBytes(await store.create(name, Buffer.from(asset.bytes), options), name)
    }
    return job
  }

  return async (step, job) => (await steps[step]?.(job)) ?? job
}

function nameOf(
  { asset_guid, revision }: Carried,
  asset: (typeof ASSETS)[keyof typeof ASSETS],
): ObjectName {
  return assetName(asset_guid, revision as Revision, asset, asset.extension)
}
