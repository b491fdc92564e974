import type { Announcement } from '#shared/catalogue/jobs/record-runs.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { Published } from '#shared/contracts/messages/published.ts'
import { attributesOf, RunEnded, subjectOf } from '#shared/contracts/messages/run.ts'
import { assetName, digest, type Revision } from '#shared/contracts/names.ts'
import { DEAD_LETTER_TOPIC } from '#shared/contracts/topology.ts'
import { letterAttributes } from '#shared/frame/dead-letter.ts'
import { defineStep, type Send, type Step, send } from '#shared/frame/step.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { cloudEvent } from './cloud-event.ts'

export interface PublishDeps {
  /**
   * Commits the verdicts of the run. Resolves to what has to be announced, or to undefined if there is nothing
   * to announce.
   */
  readonly record: (ended: RunEnded) => Promise<Announcement | undefined>
  /** Commits that the announcement has been published. */
  readonly markAnnounced: (announcement: Announcement) => Promise<void>
  readonly assets: StoreDriver
}

/**
 * The last step. It commits the rows of what a run made or failed to make, announces the result on `published`
 * once per job and run, and dead-letters the job, narrowed to the assets that failed.
 */
export function publishStep({ record, markAnnounced, assets }: PublishDeps): Step<RunEnded> {
  return defineStep<RunEnded>({
    name: 'publish',
    input: RunEnded,
    subject: subjectOf,

    async run(message) {
      const announcement = await record(message)
      if (announcement === undefined) return { sends: [], verdict: 'skipped' }
      return {
        sends: [
          send('published', Published, published(announcement, assets), {
            ...attributesOf(announcement),
            ...cloudEvent({
              id: announcement.id,
              type: `job.${announcement.state}`,
              subject: announcement.request.asset_guid,
            }),
          }),
          ...letters(announcement),
        ],
        afterwards: [() => markAnnounced(announcement)],
        verdict: 'done',
        units: Object.entries(announcement.verdicts).map(
          ([id, { version, state }]) => `${id}@${version} ${state}`,
        ),
      }
    },
  })
}

function published(
  { id, request, run, state, revision, warnings, verdicts }: Announcement,
  assets: StoreDriver,
): Published {
  const { request_id, asset_guid, release_id, asset_id } = request
  return {
    id,
    request_id,
    asset_guid,
    ...(release_id === undefined ? {} : { release_id }),
    ...(asset_id === undefined ? {} : { asset_id }),
    run,
    state,
    revision,
    ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
    assets: Object.entries(verdicts)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([asset, verdict]) => publishedAsset(asset, verdict)),
  }

  function publishedAsset(
    asset: string,
    verdict: Announcement['verdicts'][string],
  ): Published['assets'][number] {
    const { version, state } = verdict
    if (state === 'failed') {
      const sentence = withoutPaths(verdict.sentence)
      return { asset, version, state, code: verdict.code, sentence }
    }
    const uris = Object.keys(verdict.files).map((extension) => {
      const name = assetName(
        asset_guid,
        revision as Revision,
        { id: asset, version },
        extension,
      )
      return [extension, assets.uri(name)] as const
    })
    const result = verdict.result === undefined ? {} : { result: verdict.result }
    return { asset, version, state, uris: Object.fromEntries(uris), ...result }
  }
}

/** Maximum number of assets in an EncodeJob. A job that was widened may have more. */
const MAX_ASSETS = 100

/**
 * Builds one dead letter per run and reason: the job, narrowed to the assets that failed for that reason. When
 * the job is announced again, the failures of earlier runs are sent again with the same letter ids.
 */
function letters(announcement: Announcement): readonly Send[] {
  const { job, request, accepted, verdicts } = announcement
  const byReason = new Map<string, { ids: string[]; verdict: FailedVerdict }>()
  for (const [id, verdict] of Object.entries(verdicts)) {
    if (verdict.state !== 'failed') continue
    const { run, step, code, sentence } = verdict
    const reason = JSON.stringify([run, step, code, sentence])
    const letter = byReason.get(reason)
    if (letter === undefined) byReason.set(reason, { ids: [id], verdict })
    else letter.ids.push(id)
  }
  return [...byReason.values()].map(({ ids, verdict }) => {
    const { run, step, code, sentence: reason, attempt } = verdict
    const derivative_assets = ids.sort().slice(0, MAX_ASSETS)
    const id = digest([job, run, step, code, reason, derivative_assets], 32)
    return send(
      DEAD_LETTER_TOPIC,
      EncodeJob,
      { ...request, derivative_assets },
      {
        ...attributesOf({ ...announcement, run }),
        accepted,
        ...letterAttributes({ id, step, code, reason, attempt }),
      },
    )
  })
}

type FailedVerdict = Extract<Announcement['verdicts'][string], { state: 'failed' }>
