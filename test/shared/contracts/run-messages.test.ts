import t from 'tap'
import { Events } from '#shared/contracts/messages/event.ts'
import { RunAccepted, RunEnded, StagingDue } from '#shared/contracts/messages/run.ts'
import { jobId } from '#shared/contracts/names.ts'
import { newEvent } from '#shared/frame/events.ts'

const request = {
  request_id: 'one',
  asset_guid: 'track',
  derivative_assets: ['bpm', 'waveform'],
}
const envelope = {
  ...{ request, job: jobId('one', 'track'), run: 1, route: 'cloud', restarts: 0 },
  accepted: '2026-01-01T00:00:00.000Z',
}
const master = {
  ...{ uri: 'file:///masters/a%20b.wav', revision: 'r1', samples: 441_000 },
  layout: 'WAV 24-bit 48000 Hz 2 channels',
}
const made = { state: 'made', version: 3, files: { json: 500 } }
const ended = {
  ...{ ...envelope, master },
  verdicts: {
    bpm: { ...made, result: { bpm: 174.02, confidence: 0.9, tempoOverTime: [], reason: 'x' } },
    key: { ...made, result: { tonic: 'F#', scale: 'minor', camelot: '11A', openKey: '4m' } },
    loudness: { ...made, result: { integrated: -9.3, range: null, truePeak: 0.4 } },
    own: { ...made, files: { json: 1, png: 2 }, result: { bpm: 'of a plug-in' } },
    waveform: {
      ...{ state: 'failed', version: 1, code: 'DAMAGED', sentence: 'It is.', step: 'stage' },
      attempt: 1,
    },
  },
}

/** The same with something else at a path. */
function forged(message: object, path: string, value: unknown): object {
  const copy = structuredClone(message) as Record<string, unknown>
  const names = path.split('|')
  const last = names.pop() as string
  let at = copy
  for (const name of names) at = at[name] as Record<string, unknown>
  at[last] = value
  return copy
}

t.test('what a run made is taken', async (t) => {
  t.same(RunEnded.check(ended), ended)
  t.same(RunEnded.check({ ...ended, master: null }), { ...ended, master: null })
  const nothing = { bpm: null, confidence: 0, steady: false, firstBeatMs: null, windows: [] }
  t.ok(RunEnded.check(forged(ended, 'verdicts|bpm|result', nothing)))
})

t.test('a message that no run can have made is refused, with the fault', async (t) => {
  const forgeries: [string, unknown][] = [
    ['verdicts|bpm|result|bpm', 666],
    ['verdicts|bpm|result|bpm', '128'],
    ['verdicts|bpm|result|confidence', 2],
    ['verdicts|bpm|result', 'fast'],
    ['verdicts|key|result|camelot', '13A'],
    ['verdicts|key|result|tonic', '<b>'],
    ['verdicts|loudness|result|integrated', 1e9],
    ['verdicts|bpm|files', { '../../../etc/passwd': 1 }],
    ['verdicts|bpm|files', { 'json/x': 1 }],
    ['verdicts|bpm|files', {}],
    ['verdicts|bpm|files|json', 1e300],
    ['verdicts|../../x', made],
    ['verdicts|bpm|version', 1e300],
    ['verdicts|waveform|code', 'no code'],
    ['verdicts|waveform|sentence', 'x'.repeat(2001)],
    ['master|uri', 'file:///masters/../../etc/passwd'],
    ['master|uri', 'http://evil.example/a.wav'],
    ['master|uri', `file:///${'x'.repeat(5000)}`],
    ['master|revision', '../x'],
    ['master|layout', 'a\u0000b'],
    ['run', 1e300],
    ['job', jobId('another', 'track')],
    ['route', '../x'],
    ['request|asset_guid', '../x'],
  ]
  for (const [path, value] of forgeries) {
    const first = path.split('|')[0] as string
    t.throws(
      () => RunEnded.check(forged(ended, path, value)),
      { code: 'NOT_A_MESSAGE', message: new RegExp(`run-ended@1: .*/${first}`, 's') },
      `${path}: ${JSON.stringify(value).slice(0, 60)}`,
    )
  }
})

t.test('so are the messages before it', async (t) => {
  const accepted = {
    ...envelope,
    masters: ['gs://bucket/a.wav', 'file:///m/a.wav', 'upload:track'],
  }
  t.ok(RunAccepted.check(accepted))
  for (const uri of [
    'file:///m/../a',
    'https://x/a',
    '/etc/passwd',
    'file://host/a',
    'upload:../a',
  ])
    t.throws(() => RunAccepted.check({ ...accepted, masters: [uri] }), {
      code: 'NOT_A_MESSAGE',
    })
  t.throws(
    () => RunAccepted.check({ ...accepted, job: '0'.repeat(24) }),
    /its request is that of/,
  )
  const staging = {
    ...{ digest: '0123456789abcdef', uri: 'file:///m/a.wav', pin: '1-2-3', revision: 'r1' },
    work: { kind: 'stream', start: 0, partSamples: 44_100 },
  }
  t.ok(StagingDue.check({ ...envelope, staging }))
  t.throws(() => StagingDue.check({ ...envelope, staging: { ...staging, uri: '/a' } }))
})

t.test('and the events', async (t) => {
  const event = {
    ...newEvent('encode', 1),
    ...{ verdict: 'done', job: envelope.job, track: 'track', run: 1, route: 'cloud' },
    ...{ units: ['bpm@3'], ms: 12, code: 'DAMAGED', sentence: 'two\nlines' },
  }
  t.ok(Events.check({ events: [event] }))
  const forgeries: [string, unknown][] = [
    ['track', '../x'],
    ['route', 'A B'],
    ['run', 1e300],
    ['step', 'x'.repeat(65)],
    ['verdict', 'a\u0007b'],
    ['worker', 'x'.repeat(401)],
    ['ms', -1],
    ['bytes_read', 1e300],
    ['code', '<script>'],
    ['units', ['x'.repeat(201)]],
  ]
  for (const [path, value] of forgeries)
    t.throws(
      () => Events.check({ events: [forged(event, path, value)] }),
      { code: 'NOT_A_MESSAGE' },
      path,
    )
})
