import t from 'tap'
import type { JobStatus } from '#shared/contracts/api/job.ts'
import type { TrackDetail } from '#shared/contracts/api/track.ts'
import {
  historyTable,
  requestLines,
  trackShown,
} from '../../../tools/cli/commands/status/print.ts'
import { changeText, trackText } from '../../../tools/cli/commands/watch/print.ts'

const sentence = 'the WAV is cut short: its header promises 4 s, and 1 s are there'
const warnings = [{ code: 'CUT_SHORT', sentence, remedy: 'Deliver the whole of it.' }]
const job: JobStatus = {
  ...{ job: '3f2c8c1e5d0b4b8a9a530d9a', asset_guid: 'cut', track: '/v1/tracks/cut' },
  ...{ state: 'done', percent: 100, run: 1, route: 'cloud', lane: 'new', revision: 'f1' },
  ...{ tenant: 'default' },
  ...{ accepted: '2026-03-01T10:00:00Z', ended: '2026-03-01T10:00:01Z', published: null },
  ...{ dead_lettered: false, warnings, assets: [] },
}
const request_id = '3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11'
const quiet = { asJson: false, isDrawn: false }

t.test('a warning is shown wherever a track is', async (t) => {
  const line = `warning  CUT_SHORT: ${sentence}`
  t.equal(changeText({ request_id, job }, undefined, quiet), `done      cut\n    ${line}`)
  const asJson = changeText({ request_id, job }, undefined, { ...quiet, asJson: true })
  t.match(JSON.parse(asJson ?? ''), { event: 'ended', warnings })
  const request = requestLines({ request_id, state: 'done', percent: 100, jobs: [job] })
  t.ok(request.includes(`\n  ${line}\n           Deliver the whole of it.`), request)
  const master = { uri: 'file:///cut.wav', samples: 44_100, seconds: 1, layout: 'WAV 16-bit' }
  const track: TrackDetail = {
    ...{ asset_guid: 'cut', revision: 'f1', dead_lettered: false },
    ...{ first_seen: job.accepted, history: '/v1/tracks/cut/history' },
    ...{ master, warnings, assets: [] },
  }
  t.ok(trackShown(track).includes(`\n  ${line}\n`), trackShown(track))
  const event = {
    ...{ id: request_id, at: '2026-03-01T10:00:00Z', step: 'stage', verdict: 'done' },
    ...{ attempt: 1, units: [], worker: 'test', ms: 1, warnings },
  }
  t.match(historyTable([event]), `CUT_SHORT: ${sentence}`)
  const assets = { made: ['bpm'], failed: [], pending: [] }
  const listed = {
    ...{ asset_guid: 'cut', assets, state: 'done' as const, updated: event.at },
    ...{ dead_lettered: false, request_id },
  }
  t.match(trackText({ ...listed, warnings: ['CUT_SHORT'] }), /warnings: CUT_SHORT/)
})
