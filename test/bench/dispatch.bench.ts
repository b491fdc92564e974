import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startFleet } from '../dispatch/fleet.ts'
import { until } from '../support/chain.ts'

// So many tracks through the dispatcher, with an API server that is killed twice and a dispatcher that leaves in the
// middle. The pods are stubs that end after a while: this counts pods and requests, not assets.
const { values } = parseArgs({
  options: {
    tracks: { type: 'string', default: '500' },
    pods: { type: 'string', default: '20' },
  },
})
const tracks = Array.from({ length: Number(values.tracks) }, (_, i) => `track-${i}`)
const most = Number(values.pods)
const fleet = await startFleet()
const { api, stubs } = fleet
fleet.onBegin = (stub) =>
  setTimeout(() => stub.end({ exitCode: 0 }), 500 + 1000 * Math.random())
const began = performance.now()
const first = await fleet.dispatcher(most)
for (const track of tracks) await fleet.submit(track)
const begun = (share: number) => until(() => stubs.length >= share * tracks.length, 600_000)
await begun(0.25)
await api.kill()
await sleep(2000)
await api.start()
await begun(0.5)
await Promise.all([first.close(), fleet.dispatcher(most)])
await begun(0.75)
await api.kill()
await sleep(2000)
api.compact()
await api.start()
const done = () =>
  new Set(fleet.events.filter(({ verdict }) => verdict === 'done').map(({ track }) => track))
await until(() => done().size === tracks.length && api.pods.length === 0, 600_000)
const creations = api.writes.filter((line) => /^POST .* 201$/.test(line)).length
console.log(
  JSON.stringify({
    tracks: tracks.length,
    done: done().size,
    pods: stubs.length,
    mostAtOnce: api.most,
    creations,
    writesPerTrack: api.writes.length / tracks.length,
    seconds: Math.round((performance.now() - began) / 1000),
  }),
)
await fleet.close()
process.exitCode = stubs.length === tracks.length && api.most <= most ? 0 : 1
