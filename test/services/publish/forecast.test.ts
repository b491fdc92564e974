import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import { campaignId, createCampaign } from '#shared/catalogue/campaigns/create-campaign.ts'
import { createSample, samplePlaces } from '#shared/catalogue/campaigns/forecast-campaign.ts'
import { changeCampaign, moveCampaign } from '#shared/catalogue/campaigns/move-campaign.ts'
import { findCampaign } from '#shared/catalogue/campaigns/read-campaigns.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { enumerateOnce } from '../../../services/publish/campaigns/enumerate.ts'
import { estimateOf } from '../../../services/publish/campaigns/estimate.ts'
import { forecastOnce, holdToBudgets } from '../../../services/publish/campaigns/forecast.ts'
import { seeded } from '../../../tools/drill/random.ts'
import { accepted, catalogues, ended, event } from '../../shared/catalogue/fixture.ts'
import { timeLimit } from '../../support/patience.ts'

const fresh = await catalogues(t)
const stopping = timeLimit(120_000)
const registry = await loadRegistry()
const settings = {
  ...{ registry, tenants: {}, uploads: 'file:///var/uploads' },
  routes: { cloud: { templates: [], prefixes: ['file:///masters'], core_slowdown: 1 } },
}

/** Tracks of very different lengths, each with what it takes: 0.6 core-seconds, 0.023 a second, and chance. */
function tracks(count: number) {
  let state = 7
  const chance = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
  return Array.from({ length: count }, () => {
    const seconds = 60 * Math.exp(3 * chance())
    return { seconds, coreSeconds: (0.6 + 0.023 * seconds) * (0.7 + 0.6 * chance()) }
  })
}
const sum = (all: readonly { coreSeconds: number }[]) =>
  all.reduce((total, each) => total + each.coreSeconds, 0)

t.test('a sample of 200 of 5,000 mixed tracks says what all of them take', (t) => {
  const all = tracks(5000)
  const [truth, meanSeconds] = [sum(all), all.reduce((x, { seconds }) => x + seconds, 0) / 5000]
  const wrong = { known: [] as number[], unknown: [] as number[] }
  let within = 0
  for (let n = 0; n < 20; n++) {
    const sample = samplePlaces(`campaign-${n}`, 5000, 200).map((place) => all[place - 1])
    t.equal(new Set(sample).size, 200)
    for (const [name, seconds] of [
      ['known', meanSeconds],
      ['unknown', null],
    ] as const) {
      const list = { items: 5000, meanSeconds: seconds }
      const found = estimateOf(sample as never, list, seeded(n))
      if (found === undefined) throw new Error('nothing')
      wrong[name].push(Math.abs(found.coreSeconds / truth - 1))
      if (name === 'known' && found.from <= truth && truth <= found.to) within++
    }
  }
  t.ok(Math.max(...wrong.known) < 0.05, `with lengths: ${Math.max(...wrong.known)}`)
  t.ok(Math.max(...wrong.unknown) < 0.3, `without them: ${Math.max(...wrong.unknown)}`)
  t.ok(within >= 17, `${within} of 20 ranges`)
  t.equal(estimateOf([], { items: 5, meanSeconds: null }), undefined)
  t.same(samplePlaces('campaign-1', 3, 200), [1, 2, 3])
  t.end()
})

t.test('a sample is run, evaluated and kept; a budget pauses', async (t) => {
  const { database } = await fresh()
  const all = tracks(300)
  const id = campaignId()
  const source = { kind: 'manifest', uri: 'file:///masters/none.ndjson' } as const
  const rest = { tenant: 'default', weight: 1, rate: null, by: 'a test', assets: ['bpm'] }
  const budget = { core_seconds: 1 }
  await createCampaign(database, { id, name: 'all', source, starts: true, budget, ...rest })
  const text = `with filled as (
      insert into campaign_item (campaign, place, asset_guid)
      select number, place, 'track-' || place from campaign, generate_series(1, 300) place where id = $1
    )
    update campaign set state = 'running', items = 300, enumerated = 1, enumerated_at = now() where id = $1`
  await database.query({ text }, [id])
  const sample = campaignId()
  const ofIt = { kind: 'sample', campaign: id } as const
  const wanted = { name: 's', source: ofIt, starts: true, ...rest }
  await createSample(database, id, { id: sample, ...wanted })
  await createSample(database, id, { id: campaignId(), ...wanted })
  const there = await database.query<{ id: string }>({ text: 'select id from campaign' })
  t.same(there.map((each) => each.id).sort(), [id, sample].sort(), 'there is one sample')
  const locate = () => {
    throw new Error('nothing is located')
  }
  t.ok(await enumerateOnce({ database, settings, stopping, locate }))
  const items = await database.query<{ asset_guid: string }>({
    text: `select asset_guid from campaign_item join campaign on number = campaign and id = '${sample}'`,
  })
  t.equal(items.length, 200)
  t.equal(await holdToBudgets(database, stopping), 0, 'nothing is spent')

  const runs = items.map(({ asset_guid: track }) =>
    accepted(['bpm'], { track, requestId: sample }),
  )
  const at = (run: (typeof runs)[number]) => all[Number(run.request.asset_guid.slice(6)) - 1]
  await acceptJobs(database, runs)
  await recordEvents(
    database,
    runs.map((run) =>
      event(run, { step: 'analyze', cpu_ms: 1000 * (at(run)?.coreSeconds ?? 0) }),
    ),
  )
  await recordRuns(
    database,
    runs.map((run) => {
      const end = ended(run)
      const samples = Math.round(44_100 * (at(run)?.seconds ?? 1))
      return { ...end, master: end.master && { ...end.master, samples } }
    }),
  )
  t.equal(await forecastOnce(database, stopping), 0, 'the sample has not ended')
  const done = `update campaign set state = 'done', ended_at = now() - interval '1 minute' where id = $1`
  await database.query({ text: done }, [sample])
  t.equal(await forecastOnce(database, stopping), 1)
  t.equal(await forecastOnce(database, stopping), 0, 'once')
  const found = await findCampaign(database, id)
  const result = found?.campaign.forecast?.result
  if (found === undefined || result === undefined) throw new Error('there is no forecast')
  t.ok(Math.abs(result.core_seconds / sum(all) - 1) < 0.15, `${result.core_seconds}`)
  t.ok(result.from < result.core_seconds && result.core_seconds < result.to)
  t.match(result, { sampled: 200, seconds: Number })
  t.ok(Math.abs(found.spent - sum(runs.flatMap((run) => at(run) ?? []))) < 0.01)

  t.equal(await holdToBudgets(database, stopping), 1)
  const paused = (await findCampaign(database, id))?.campaign
  t.match(paused, {
    ...{ state: 'paused', pausedCode: 'BUDGET' },
    pausedSentence: /^\d+ core-seconds are spent, and its budget is 1$/,
  })
  await changeCampaign(database, id, { budget: { usd: 100 } })
  await moveCampaign(database, id, 'resume', { by: 'a test', reason: null })
  t.equal(await holdToBudgets(database, stopping), 0)
  await changeCampaign(database, id, { budget: { usd: 0.000_001 } })
  t.equal(await holdToBudgets(database, stopping), 1)
  await changeCampaign(database, id, { budget: null })
  t.equal((await findCampaign(database, id))?.campaign.budget, null)
})
