import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { DEFAULT_ROUTE, ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { emulatorWire, localWire } from '../../../tools/bench/wires.ts'

const wires = [
  await localWire(join(t.testdir(), 'pubsub.sqlite')),
  await emulatorWire(),
].filter((wire) => wire !== undefined)

for (const wire of wires) {
  t.teardown(() => wire.stop())
  t.test(`${wire.name}: what the server has forgotten is made again`, async (t) => {
    const bus = pubsubBus({
      ...{ projectId: 'forgotten', endpoint: wire.endpoint },
      topology: topology([DEFAULT_ROUTE], ONE_MACHINE),
    })
    t.teardown(() => bus.close())
    const got = new Set<string>()
    const options = { concurrency: 1, longestMs: 1000, onError: () => {} }
    const subscriber = bus.subscribe('encode', options, async ({ data }) => {
      got.add(data.toString())
      return 'ack'
    })
    t.teardown(() => subscriber.close())
    const through = async (text: string) => {
      for (let n = 0; !got.has(text); n++) {
        // What comes before there is a subscription again is lost, as in Pub/Sub.
        const message = { data: Buffer.from(text), attributes: {} }
        if (n % 20 === 0) await bus.publish('encode', message).catch(() => {})
        await sleep(100)
      }
    }
    const texts = ['at the start there is nothing', 'nor after a restart']
    await through(texts[0] as string)
    t.same([...got], texts.slice(0, 1))
    await wire.restartEmpty()
    await through(texts[1] as string)
    t.same([...got], texts)
  })
}

t.comment(`wires tested: ${wires.map(({ name }) => name).join(', ')}`)
