import { randomUUID } from 'node:crypto'
import t from 'tap'
import { Type } from 'typebox'
import type { Settlement } from '#shared/bus/bus.ts'
import { delivering, MOST_ATTEMPTS, MOST_OVER_BUDGET } from '#shared/deliver.ts'
import { eventSink } from '#shared/events.ts'
import { createLog } from '#shared/log.ts'
import { defineMessage } from '#shared/message.ts'
import { createMetrics } from '#shared/metrics.ts'
import type { ObjectName } from '#shared/names.ts'
import { defineStep } from '#shared/step.ts'
import { countStops } from '#shared/units/stops.ts'
import { surroundings } from '../support/chain.ts'

const around = await surroundings()
t.teardown(() => around.close())

const Due = defineMessage('stops-test@1', { step: Type.String(), makes: Type.Boolean() })

/** Never ends by itself; makes one more unit at each attempt, or none. */
const endless = defineStep({
  name: 'analyze',
  input: Due,
  subject: () => ({}),
  async run({ step, makes }, { write, delivery }) {
    const name = `units/${step}/${delivery.attempt}` as ObjectName
    if (makes) await write('scratch', name, new Uint8Array(1), 'text/plain')
    return new Promise<never>(() => {})
  },
  stopped: ({ step }, context) => countStops('cloud/job/1/', step, context),
  fail: async () => ({ sends: [], verdict: 'failed' }),
})

const handle = delivering(endless, {
  ...{ bus: around.bus, events: eventSink(around.bus), log: createLog('stops', 'fatal') },
  ...{ assets: around.store('assets'), scratch: around.store('scratch') },
  metrics: createMetrics('stops'),
  aborting: new AbortController().signal,
  hardLimitMs: 100,
})

/** What becomes of a step that is stopped at each of these attempts; those between died with their worker. */
async function settled(makes: boolean, attempts: readonly number[]): Promise<Settlement[]> {
  const data = Buffer.from(JSON.stringify({ step: randomUUID(), makes }))
  const settlements: Settlement[] = []
  for (const attempt of attempts) {
    const delivery = { id: '1', data, attributes: {}, attempt, published: new Date() }
    settlements.push(await handle(delivery))
  }
  return settlements
}

t.test('deliveries that died with their worker do not make a step too slow', async (t) => {
  const attempts = Array.from({ length: MOST_OVER_BUDGET }, (_, i) => MOST_ATTEMPTS * (i + 1))
  const settlements = await settled(false, attempts)
  t.same(settlements.slice(0, -1), Array(MOST_OVER_BUDGET - 1).fill('nack'))
  t.equal(settlements.at(-1), 'ack', 'so many stops with nothing made do')
})

t.test(
  'a step that makes one unit after another is stopped as often as it takes',
  async (t) => {
    const attempts = Array.from({ length: MOST_OVER_BUDGET + 3 }, (_, i) => i + 1)
    t.same(await settled(true, attempts), Array(attempts.length).fill('nack'))
  },
)
