import type { Bus } from '#shared/bus/bus.ts'
import { completeReleases } from '#shared/catalogue/callbacks/complete-releases.ts'
import { relayCallbacks } from '#shared/catalogue/callbacks/relay-callbacks.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { sentInTime } from '#shared/catalogue/sent-in-time.ts'
import { Callback } from '#shared/contracts/messages/callback.ts'
import { CALLBACKS_TOPIC } from '#shared/contracts/topology.ts'
import { send } from '#shared/frame/step.ts'
import { cloudEvent } from './cloud-event.ts'

/** How many releases are looked at, and how many callbacks are sent, in one transaction. */
const MAX_AT_ONCE = 200

/**
 * Completes releases, and publishes what is complete on the topic `callbacks`.
 * @param quietMs how long nothing may have happened to a release before it is complete, ms
 * @returns whether there may be more to do
 */
export async function callBackOnce(
  { database, bus }: { readonly database: Database; readonly bus: Pick<Bus, 'publish'> },
  quietMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const lookedAt = await completeReleases(database, quietMs, MAX_AT_ONCE, signal)
  const publish = async (body: Callback) => {
    const { id, type, at, release_id } = body
    const attributes = cloudEvent({ id, type, at, subject: `release/${release_id}` })
    const { topic, data, ...message } = send(CALLBACKS_TOPIC, Callback, body, attributes)
    await bus.publish(topic, { data, attributes: message.attributes })
  }
  const sent = await relayCallbacks(
    database,
    MAX_AT_ONCE,
    (callbacks) => sentInTime(callbacks.map(publish), signal),
    signal,
  )
  return lookedAt === MAX_AT_ONCE || sent === MAX_AT_ONCE
}
