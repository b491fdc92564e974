import t from 'tap'
import { seeded } from '../../../tools/drill/random.ts'
import { flac, wav } from '../../support/audio.ts'
import { chainOnBuckets } from '../../support/on-buckets.ts'
import { patient, until } from '../../support/patience.ts'
import { noise } from '../../support/synth.ts'

/**
 * The chain on buckets in which a bit flips in every sixth uploaded or downloaded body, and in which nothing
 * may be removed, not even in scratch. The results have to be those of an undisturbed chain, or missing.
 */

t.setTimeout(patient(240_000))

const { server, around } = await chainOnBuckets(t, 'damage')
server.denied = /^DELETE \/storage/
const { letters, published } = around

/** A master that is read in place, one that is converted into scratch, and one of over 1 MiB that is decoded. */
const MASTERS = {
  place: wav([noise(80_000, { seed: 1 }), noise(80_000, { seed: 2 })]),
  stage: wav([noise(80_000, { seed: 3 }), noise(80_000, { seed: 4 })], { rate: 48_000 }),
  decoded: await flac(wav([noise(300_000, { seed: 5 }), noise(300_000, { seed: 6 })])),
}

async function make(name: string): Promise<void> {
  const tracks = Object.keys(MASTERS).map((kind) => `${kind}-${name}`)
  for (const [kind, master] of Object.entries(MASTERS)) {
    server.put('masters', `${kind}-${name}.wav`, master)
    const derivative_assets = ['aac-128', 'waveform', 'loudness', 'echo', 'pieces']
    await around.submit({ asset_guid: `${kind}-${name}`, derivative_assets })
  }
  await until(() => tracks.every((track) => published.has(track)), patient(60_000))
}

/** The files of a track's assets, by their kind. */
function files(track: string): Record<string, string> {
  const found = [...(server.buckets.get('assets') ?? [])]
    .filter(([name]) => name.startsWith(`assets/${track}/`))
    .map(([name, { bytes }]) => [name.split('/').at(-1) ?? '', bytes.toString('base64')])
  return Object.fromEntries(found.toSorted())
}

t.test('bits that flip on the way, up and down, never make another asset', async (t) => {
  await make('clean')
  let bodies = 0
  const random = seeded(1)
  const flips = { up: 0, down: 0 }
  server.onTheWay = (body, way) => {
    bodies++
    if (body.length === 0 || random() > 1 / 6) return body
    flips[way]++
    const other = Buffer.from(body)
    const at = Math.floor(random() * body.length)
    other[at] = (other[at] as number) ^ (1 << Math.floor(random() * 8))
    return other
  }
  // The number of bodies depends on how often the services send requests, so run as many rounds as are needed.
  const names: string[] = []
  while (names.length < 3 || (Math.min(flips.up, flips.down) <= 10 && names.length < 20)) {
    names.push(String(names.length + 1))
    await make(names.at(-1) as string)
  }
  server.onTheWay = undefined
  t.comment(`${bodies} bodies, of which damaged: ${JSON.stringify(flips)}`)
  t.ok(flips.up > 10 && flips.down > 10, 'both ways')
  for (const kind of Object.keys(MASTERS)) {
    const clean = files(`${kind}-clean`)
    t.ok(Object.keys(clean).length >= 6)
    for (const name of names) {
      const track = `${kind}-${name}`
      t.same(files(track), clean, track)
      t.match(published.get(track), [{ state: 'done' }], track)
    }
  }
  t.same(letters, [])
})
