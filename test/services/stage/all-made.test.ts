import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { keepFacts } from '#shared/assets/master-facts.ts'
import { loadRegistry } from '#shared/assets/registry.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { RunAccepted, RunEnded, StepDue } from '#shared/contracts/messages/run.ts'
import { type JobId, jobId } from '#shared/contracts/names.ts'
import type { Cores } from '#shared/frame/cores.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { type Send, send } from '#shared/frame/step.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { locate, openStore } from '#shared/store/open.ts'
import { statedWav } from '../../../services/stage/formats/iff/stated.ts'
import type { PcmLayout } from '../../../services/stage/formats/layout.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { stageStep } from '../../../services/stage/step.ts'
import { aiff, coded, flac, wav } from '../../support/audio.ts'
import { bytesOf, soon } from '../../support/stage.ts'
import { noise, RATE, sine } from '../../support/synth.ts'

const folder = await mkdtemp(join(tmpdir(), 'all-made-'))
t.teardown(() => rm(folder, { recursive: true }))
const store = (name: string) => openStore(`file://${folder}/${name}`)
const never = new AbortController().signal
const derivatives = new URL('../../support/derivatives', import.meta.url).pathname
const registry = await loadRegistry(derivatives)
const WANTED = ['echo', 'pieces']

interface Said {
  readonly event: StepEvent
  readonly sends: readonly Send[]
}

let jobs = 0
/** Delivers a job to the step, and returns what it sends and reports. */
async function staged(
  track: string,
  request: { readonly strict?: boolean } = {},
  cores?: Cores,
): Promise<Said> {
  const sends: Send[] = []
  const events: StepEvent[] = []
  const handle = delivering(
    stageStep({
      registry,
      locate: (uri) => locate(uri),
      uploads: store('uploads'),
      config: {
        ...{ master_wait_seconds: 1, target_ms: 6000, routes: {}, strict: false },
        ...{ max_hours: 24, max_channels: 8, max_rate_hz: 400_000 },
      },
    }),
    {
      bus: {
        async publish(topic: string, message: Omit<Send, 'topic'>) {
          sends.push({ topic, ...message })
        },
      } as never,
      events: { report: async (event) => void events.push(event) },
      ...{ assets: store('assets'), scratch: store('scratch') },
      ...{ log: createLog('test', 'silent'), metrics: createMetrics('test') },
      breaker: { isSuspect: async () => false },
      ...{ stopping: never, aborting: never },
      ...(cores && { cores }),
    },
  )
  const request_id = `all-made-${++jobs}`
  const job: JobId = jobId(request_id, track)
  const { data } = send('stage', RunAccepted, {
    request: { request_id, asset_guid: track, derivative_assets: WANTED, ...request },
    ...{ job, run: 1, route: 'cloud', accepted: new Date().toISOString(), restarts: 0 },
    masters: [`file://${folder}/masters/${track}`],
  })
  await handle({ id: '1', data, attributes: {}, attempt: 1 } as never)
  return { event: events[0] as StepEvent, sends }
}

async function master(track: string, bytes: Uint8Array): Promise<void> {
  await mkdir(join(folder, 'masters'), { recursive: true })
  await writeFile(join(folder, 'masters', track), bytes)
}

/** Puts the assets of a planned run, and what is kept of its master, where the later stages would. */
async function made(due: StepDue): Promise<void> {
  const { revision } = due.plan
  for (const name of ['echo@1.json', 'pieces@1.bin', 'pieces@1.txt']) {
    const path = join(folder, 'assets/assets', due.request.asset_guid, revision, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '{"sha256":"x"}')
  }
  await keepFacts(due.request.asset_guid, due.master, {
    write: async (_, name, body, contentType) =>
      store('assets').create(name, body, { contentType }),
  })
}

const music = () => [sine(RATE, 440), noise(RATE, { amplitude: 0.01 })]
const cut = (file: Buffer, bytes: number) => file.subarray(0, file.length - bytes)
const noNumber = () => {
  const tone = sine(RATE, 440)
  tone[30_000] = Number.NaN
  return wav([tone, tone], { bits: 32, float: true })
}
const late = () => {
  const file = wav(music())
  file.writeUInt32LE(file.length - 44 + 500_000, 40)
  return file
}
/** What the first run found out, by track. */
const surveyed = new Map<string, StepDue['master']>()
/** `kept`: whether what was found out has to be kept, because the first bytes do not say it. */
const MASTERS: Record<string, { bytes: () => Buffer | Promise<Buffer>; kept: boolean }> = {
  wav: { bytes: () => wav(music()), kept: false },
  'wav-24': { bytes: () => wav(music(), { bits: 24, rate: 48_000 }), kept: false },
  'wav-cut': { bytes: () => cut(wav(music()), 40_000), kept: true },
  'wav-late': { bytes: late, kept: true },
  'wav-two': { bytes: () => Buffer.concat([late(), wav(music())]), kept: true },
  'no-number': { bytes: noNumber, kept: true },
  aiff: { bytes: () => aiff(music()), kept: true },
  flac: { bytes: () => flac(wav(music())), kept: true },
  'mp3-cut': { bytes: async () => cut(await coded('m.mp3', wav(music())), 3000), kept: true },
}

for (const [track, { bytes, kept }] of Object.entries(MASTERS)) {
  t.test(
    `${track}: a job for what exists says of the master what the first one said`,
    async (t) => {
      await master(track, await bytes())
      const first = await staged(track)
      t.equal(first.event.verdict, 'done')
      const due = StepDue.parse(first.sends[0]?.data as Buffer)
      await made(due)
      surveyed.set(track, due.master)
      const again = await staged(track)
      t.equal(again.event.verdict, 'skipped')
      const ended = RunEnded.parse(again.sends[0]?.data as Buffer)
      t.same(ended.master, due.master)
      t.same(again.event.warnings, due.master?.warnings)
      // The master's header, what was kept, and a look at each file.
      t.equal(again.event.store_operations, 5)
      t.ok((again.event.bytes_read ?? 0) < 70_000, `${again.event.bytes_read} bytes read`)
      const facts = await store('assets').stat(
        `masters/${track}/${due.plan.revision}.json` as never,
      )
      t.equal(facts !== undefined, kept, 'whether it was kept')

      const strict = await staged(track, { strict: true })
      const code = due.master?.warnings === undefined ? undefined : 'STRICT'
      t.equal(strict.event.code, code, 'a strict job is refused if there are warnings')
    },
  )
}

t.test('what was kept is not needed: then the master is examined again', async (t) => {
  await rm(join(folder, 'assets/masters'), { recursive: true })
  for (const track of ['wav-cut', 'wav-late', 'wav-two', 'aiff', 'flac']) {
    const { event, sends } = await staged(track)
    t.equal(event.verdict, 'skipped', track)
    const { master } = RunEnded.parse(sends[0]?.data as Buffer)
    t.same(master, surveyed.get(track), track)
  }
})

t.test('a WAV whose numbers leave a doubt states nothing', async (t) => {
  const file = wav(music())
  const altered = (act: (file: Buffer) => unknown) => {
    const other = Buffer.from(file)
    act(other)
    return statedWav(bytesOf(other), soon())
  }
  const { warnings: _, ...said } = (await survey(bytesOf(file), soon())) as PcmLayout
  t.same(await altered(() => {}), said)
  const doubts: Record<string, (file: Buffer) => unknown> = {
    'the outer size': (file) => file.writeUInt32LE(file.length - 9, 4),
    'the size of the samples': (file) => file.writeUInt32LE(file.length, 40),
    'no size of the samples': (file) => file.writeUInt32LE(0, 40),
    'an unknown size': (file) => file.writeUInt32LE(0xffff_ffff, 40),
    'the block': (file) => file.writeUInt16LE(6, 32),
    'the byte rate': (file) => file.writeUInt32LE(44_100, 28),
    'the bits': (file) => file.writeUInt16LE(12, 34),
    'the encoding': (file) => file.writeUInt16LE(2, 20),
    'another container': (file) => file.write('RF64', 0),
  }
  for (const [title, act] of Object.entries(doubts))
    t.equal(await altered(act), undefined, title)
})

t.test('what is decoded or resampled has a core, a header that is read has none', async (t) => {
  let taken = 0
  const cores: Cores = {
    async take() {
      taken++
      return () => {}
    },
  }
  const sound = music()
  const masters = {
    'a WAV': [wav(sound), 0],
    'a 24-bit WAV': [wav(sound, { bits: 24 }), 1],
    'a FLAC': [await flac(wav(sound)), 1],
    'an MP3': [await coded('a.mp3', wav(sound)), 1],
  } as const
  for (const [name, [bytes, times]] of Object.entries(masters)) {
    const track = `core-${name.replaceAll(' ', '-')}`
    await master(track, bytes)
    taken = 0
    t.match((await staged(track, {}, cores)).event, { verdict: 'done' })
    t.equal(taken, times, name)
  }
})
