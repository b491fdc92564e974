import { randomInt } from 'node:crypto'
import t from 'tap'
import { relayCallbacks } from '#shared/catalogue/callbacks/relay-callbacks.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { Callback } from '#shared/contracts/messages/callback.ts'
import { callBackOnce } from '../../../services/publish/relay-callbacks.ts'
import { accepted, again, catalogues, ended, failed } from '../../shared/catalogue/fixture.ts'

const fresh = await catalogues(t)
const never = new AbortController().signal
const QUIET_MS = 60_000

interface Sent {
  readonly callback: Callback
  readonly attributes: Readonly<Record<string, string>>
}

/** A catalogue, and what it publishes on `callbacks`. */
async function calling() {
  const { database } = await fresh()
  const sent: Sent[] = []
  let refuses = false
  const bus = {
    async publish(
      topic: string,
      { data, attributes }: { data: Buffer } & Pick<Sent, 'attributes'>,
    ) {
      if (refuses) throw new Error(`no ${topic}`)
      if (topic === 'callbacks') sent.push({ callback: Callback.parse(data), attributes })
      return 'id'
    },
  }
  return {
    database,
    sent,
    refuse: (to: boolean) => {
      refuses = to
    },
    once: () => callBackOnce({ database, bus }, QUIET_MS, never),
    /** A minute without anything. */
    passMinute: () => pass(database, 61),
  }
}

/** Makes everything that has happened to releases happen earlier. */
async function pass(database: Database, seconds: number): Promise<void> {
  const earlier = `- interval '${seconds} seconds'`
  await database.query({
    text: `update release set changed = changed ${earlier}, looked_at = looked_at ${earlier}`,
  })
  await database.query({ text: `update migration set applied_at = applied_at ${earlier}` })
}

/** Twelve jobs of a release. */
function release() {
  const release_id = randomInt(1, 2 ** 47)
  const runs = Array.from({ length: 12 }, () => {
    const run = accepted(['bpm'])
    return { ...run, request: { ...run.request, release_id } }
  })
  return { release_id, runs }
}

t.test(
  'a release is complete once, when all of its jobs have ended and a minute has passed',
  async (t) => {
    const { database, sent, once, passMinute } = await calling()
    const { release_id, runs } = release()
    const [bad, ...good] = runs
    // One by one, and the first has ended before the second is submitted.
    for (const run of runs) {
      await acceptJobs(database, [run])
      await recordRuns(database, [ended(run, run === bad ? { bpm: failed() } : {})])
      await pass(database, 30)
      await once()
    }
    t.same(sent, [], 'nothing came for less than a minute only')
    await passMinute()
    await once()
    t.equal(sent.length, 1)
    const [{ callback, attributes } = { callback: undefined, attributes: {} }] = sent
    t.match(callback, { type: 'release.done', release_id, state: 'partial' })
    t.match(callback?.tracks, { done: good.length, failed: 1, partial: 0, cancelled: 0 })
    t.match(attributes, {
      'ce-specversion': '1.0',
      'ce-id': callback?.id,
      'ce-type': 'trackchain.release.done',
      'ce-subject': `release/${release_id}`,
      'ce-time': callback?.at,
      schema: 'callback@1',
    })
    await passMinute()
    await once()
    t.equal(sent.length, 1, 'and not again')

    // Copies of what has been recorded change nothing.
    await recordRuns(
      database,
      good.map((run) => ended(run)),
    )
    await acceptJobs(database, runs)
    await passMinute()
    await once()
    t.equal(sent.length, 1)

    if (bad === undefined) throw new Error('there are twelve')
    const redriven = again(bad, { run: 2 })
    await acceptJobs(database, [redriven])
    await passMinute()
    await once()
    t.equal(sent.length, 1, 'while it is open nothing is complete')
    await recordRuns(database, [ended(redriven)])
    await passMinute()
    await once()
    t.equal(sent.length, 2)
    t.match(sent[1]?.callback, { state: 'done', tracks: { done: 12, failed: 0 } })
    t.not(sent[1]?.callback.id, sent[0]?.callback.id)
  },
)

t.test(
  'what could not be sent, or was sent by a process that died, is sent again as it was',
  async (t) => {
    const { database, sent, once, passMinute, refuse } = await calling()
    const { runs } = release()
    await acceptJobs(database, runs)
    await recordRuns(
      database,
      runs.map((run) => ended(run)),
    )
    await passMinute()
    refuse(true)
    await t.rejects(once(), /no callbacks/)
    t.same(sent, [])
    refuse(false)
    // Dies between sending and noting it.
    const died = relayCallbacks(database, 10, async (callbacks) => {
      for (const callback of callbacks) sent.push({ callback, attributes: {} })
      throw new Error('killed')
    })
    await t.rejects(died, /killed/)
    await once()
    await once()
    t.equal(sent.length, 2)
    t.same(sent[1]?.callback, sent[0]?.callback, 'a copy is the same in every byte')
  },
)

t.test('several processes complete and send each release once', async (t) => {
  const { database, sent, once, passMinute } = await calling()
  const releases = Array.from({ length: 300 }, release)
  await acceptJobs(
    database,
    releases.flatMap(({ runs }) => runs.slice(0, 2)),
  )
  await recordRuns(
    database,
    releases.flatMap(({ runs }) => runs.slice(0, 2).map((run) => ended(run))),
  )
  await passMinute()
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (await once());
    }),
  )
  await once()
  t.equal(sent.length, 300)
  t.equal(new Set(sent.map(({ callback }) => callback.id)).size, 300)
})

t.test('what has been complete since before there were callbacks is no news', async (t) => {
  const { database, sent, once } = await calling()
  const { runs } = release()
  await acceptJobs(database, runs)
  await recordRuns(
    database,
    runs.map((run) => ended(run)),
  )
  await database.query({ text: `update release set changed = changed - interval '1 day'` })
  await once()
  t.same(sent, [])
})
