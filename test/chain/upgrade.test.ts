import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { anyPort } from '../../tools/local/port.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { patient } from '../support/patience.ts'
import { type RunningService, startService } from '../support/processes/service.ts'
import { club } from '../support/synth.ts'

t.setTimeout(patient(1_200_000))

/** The last service of the chain is upgraded first: the order of k8s/upgrade.sh. */
const ORDER = ['publish', 'encode', 'analyze', 'stage', 'ingest'] as const
type Name = (typeof ORDER)[number]
const WAIT_MS = 300_000

t.test(
  'an upgrade brings a derivative asset, under load: refused until all know it, nothing dead-lettered',
  async (t) => {
    const around = await surroundings()
    const { config, published, letters } = around
    const wider = new URL('../support/derivatives-wider', import.meta.url).pathname
    const running = new Map<Name, RunningService>()
    let url = ''

    /** Starts a new process first, and stops the old one when the new one is ready. */
    async function roll(name: Name, derivatives: string): Promise<void> {
      const port = name === 'ingest' ? await anyPort() : 0
      const at = name === 'ingest' ? { port, drain_seconds: 1 } : {}
      const fresh = startService(`${name}/main.ts`, { ...config, ...at, derivatives })
      const old = running.get(name)
      running.set(name, fresh)
      await fresh.ready
      if (name === 'ingest') url = `http://127.0.0.1:${port}`
      old?.child.kill('SIGTERM')
      if (old) t.equal(await old.exited, 0, `the old ${name} has gone`)
    }
    t.teardown(async () => {
      for (const { child } of running.values()) child.kill('SIGKILL')
      await Promise.all([...running.values()].map(({ exited }) => exited))
      await around.close()
    })
    await Promise.all(ORDER.map((name) => roll(name, config.derivatives)))

    const master = wav(club(44_100))
    const tracks: string[] = []
    let posted = 0
    async function post(assets: readonly string[]): Promise<number> {
      const asset_guid = `track-${posted++}`
      await around.master(asset_guid, master)
      const response = await fetch(`${url}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ asset_guid, derivative_assets: assets }),
      })
      if (response.status === 202) tracks.push(asset_guid)
      else t.match(await response.json(), { detail: /slow/ })
      return response.status
    }
    const statuses: number[] = []
    const loading = new AbortController()
    async function load(): Promise<void> {
      while (!loading.signal.aborted) {
        statuses.push(await post(['echo', 'pieces']))
        // Submit tracks faster than they are made, up to a limit.
        const ahead = tracks.length - published.size
        await sleep(ahead > 2 ? 2000 : 600)
      }
    }
    const loaded = load()
    await until(() => published.size > 0, WAIT_MS)

    for (const name of ORDER) {
      t.equal(await post(['echo', 'slow']), 422, `not available before ${name} is upgraded`)
      await roll(name, wider)
    }
    loading.abort()
    await loaded
    t.equal(await post(['echo', 'slow']), 202, 'and then it is')
    const late = tracks.at(-1) as string
    await until(() => tracks.every((track) => published.has(track)), WAIT_MS)
    t.same(new Set(statuses), new Set([202]))
    t.match(published.get(late)?.[0], { assets: [{ asset: 'echo' }, { asset: 'slow' }] })
    const ends = tracks.map((track) => published.get(track)?.[0]?.state)
    t.same(new Set(ends), new Set(['done']))
    t.same(letters, [])
    t.comment(`${tracks.length} tracks`)
  },
)
