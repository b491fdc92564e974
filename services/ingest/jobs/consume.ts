import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { countFrom, pastInstant } from '#shared/contracts/message.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { type RunAccepted, subjectOf } from '#shared/contracts/messages/run.ts'
import { jobId, requestIdFrom, trackOf } from '#shared/contracts/names.ts'
import type { Config } from '#shared/frame/settings.ts'
import { type DeliveryFacts, defineStep, type Step } from '#shared/frame/step.ts'
import { type AcceptSettings, accept, type EarlierRun, toStage } from '#shared/jobs/accept.ts'
import type { Conflicts } from './conflicts.ts'
import type { Quotas } from './quotas.ts'

/**
 * The consumer of the public `ingest` topic. It treats a message as POST /v1/jobs treats a body.
 * @param recordJob writes the job row if the database answers at once; it never fails
 * @param quotas lets jobs wait whose tenant has no room
 * @param conflicts refuses a job that contradicts what the same request said before
 */
export function ingestStep(
  settings: AcceptSettings & Pick<Config, 'max_message_kib'>,
  recordJob: (accepted: RunAccepted) => Promise<void>,
  conflicts: Pick<Conflicts, 'check'>,
  quotas: Quotas,
): Step<EncodeJob> {
  const mostBytes = settings.max_message_kib * 1024
  return defineStep<EncodeJob>({
    name: 'ingest',
    input: { ...EncodeJob, parse: (data) => EncodeJob.parse(within(data, mostBytes)) },

    subject(job, { id }) {
      const track = trackOf(job)
      if (track === undefined) return {}
      return { job: jobId(job.request_id ?? requestIdFrom(id), track), track }
    },

    async run(job, { delivery }) {
      const again = earlierRunOf(delivery)
      const given = accept(job, settings, again)
      const sentMs = again.accepted === undefined ? delivery.published.getTime() : undefined
      const accepted =
        job.request_id === undefined ? given : await conflicts.check(given, sentMs)
      // What comes to ingest again is no new job.
      if (again.accepted === undefined && (await quotas.holdBack(accepted)))
        return { sends: [], verdict: 'queued', subject: subjectOf(accepted) }
      const isNow = again.accepted === undefined && accepted === given
      return {
        sends: [toStage(accepted)],
        afterwards: [() => recordJob(accepted)],
        verdict: 'accepted',
        request: accepted.request,
        ...(isNow ? {} : { accepted: accepted.accepted }),
        subject: subjectOf(accepted),
      }
    },
  })
}

/** Checks the size of a message before it is parsed. @throws PermanentError MESSAGE_TOO_LARGE */
function within(data: Uint8Array, mostBytes: number): Uint8Array {
  if (data.length <= mostBytes) return data
  throw new PermanentError(
    'MESSAGE_TOO_LARGE',
    `the message has ${data.length} bytes; at most ${mostBytes} (max_message_kib) are taken`,
  )
}

// The attributes of a message that say which run it belongs to. Only a restart, a redrive or the watchdog sets
// them.
function earlierRunOf({ id, attributes }: DeliveryFacts): EarlierRun {
  const { run, restarts } = attributes
  const accepted = pastInstant(attributes.accepted)
  return {
    requestId: requestIdFrom(id),
    run: countFrom(run, 1),
    restarts: countFrom(restarts, 0),
    ...(accepted === undefined ? {} : { accepted }),
  }
}
