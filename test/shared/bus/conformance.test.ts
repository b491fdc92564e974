import { join } from 'node:path'
import t from 'tap'
import { emulatorWire, localWire } from '../../../tools/bench/wires.ts'
import { busConformance } from '../../conformance/bus.ts'
import { snapshotConformance } from '../../conformance/snapshots.ts'
import { patient } from '../../support/patience.ts'

const wires = [
  await localWire(join(t.testdir(), 'pubsub.sqlite')),
  await emulatorWire(),
].filter((wire) => wire !== undefined)

t.jobs = 2
for (const wire of wires) {
  t.teardown(() => wire.stop())
  t.test(wire.name, { timeout: patient(110_000), buffered: true }, async (t) => {
    await busConformance(t, wire)
    await t.test('snapshots', (t) => snapshotConformance(t, wire))
  })
}

t.comment(`wires tested: ${wires.map(({ name }) => name).join(', ')}`)
