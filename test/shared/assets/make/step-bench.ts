import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import {
  type Derivative,
  defineDerivative,
  type Parts,
  type Range,
  type Tools,
} from '#shared/assets/definition.ts'
import { unitStep } from '#shared/assets/make/unit-step.ts'
import type { Bus } from '#shared/bus/bus.ts'
import { json } from '#shared/contracts/message.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import type { RunEnded, StepDue } from '#shared/contracts/messages/run.ts'
import { type MakingStage, perMakingStage } from '#shared/contracts/stages.ts'
import { type Cores, OwnCores } from '#shared/frame/cores.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { locate, openStore } from '#shared/store/open.ts'
import { Isolation } from '#shared/underway/isolation.ts'
import { accepted } from '../../catalogue/fixture.ts'

export const RATE = 44_100
export const SAMPLES = 4 * RATE
const never = new AbortController().signal
const cost = { fixedMs: 1, msPerSecond: 1 }
/** A plan without any step. */
export const NO_STEPS = perMakingStage<number[][]>(() => [])

/** What an asset of these tests is to do next; by its id. */
type Behaviour = () => Promise<unknown>

/**
 * Runs single steps over real stores, and notes what they send. The registry has two assets of encode in parts of two seconds,
 * and a whole one of each stage.
 */
export async function bench(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'units-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const master = join(folder, 'master.pcm')
  await writeFile(master, Buffer.alloc(4 * SAMPLES, 1))
  const uri = `file://${master}`
  const at = locate(uri)
  const { revision = '' } = (await at.driver.stat(at.name)) ?? {}
  const calls: string[] = []
  const does = new Map<string, Behaviour>()
  const act = async (what: string) => {
    calls.push(what)
    return does.get(what)?.()
  }
  const parts = (id: string, version = 1): Derivative =>
    defineDerivative({
      id,
      version,
      stage: 'encode',
      title: id,
      cost,
      grid: RATE,
      files: { txt: 'text/plain', bin: 'application/octet-stream' },
      async part({ start, end }: Range, { pcm }: Tools) {
        const samples = await pcm.read(start, end)
        const odd = await act(`${id} ${start / RATE}`)
        return (odd as Uint8Array) ?? Buffer.from(`${start} ${samples.length}\n`)
      },
      async join(pieces: Parts) {
        const all = await Array.fromAsync(pieces)
        const odd = await act(`${id} join`)
        return (odd as never) ?? { txt: Buffer.concat(all), bin: Buffer.from(`${all.length}`) }
      },
    })
  const whole = (id: string, stage: MakingStage): Derivative =>
    defineDerivative({
      id,
      version: 1,
      stage: stage as 'encode',
      title: id,
      cost,
      result: true,
      files: { json: 'application/json' },
      async render({ pcm }: Tools) {
        const samples = await pcm.read(0, RATE)
        const odd = await act(id)
        return (odd as never) ?? { json: Buffer.from(`{"read":${samples.length}}`) }
      },
    })
  const all = [
    parts('pieces'),
    parts('others'),
    whole('flac', 'encode'),
    whole('bpm', 'analyze'),
  ]
  const own = new Set<string>()
  const registry = Object.assign(new Map(all.map((asset) => [asset.id, asset])), { own })

  const sent: {
    topic: string
    body: StepDue | RunEnded
    attributes: Readonly<Record<string, string>>
  }[] = []
  const events: StepEvent[] = []
  const hooks: { onPublish?: (topic: string) => Promise<void> } = {}
  const bus: Pick<Bus, 'publish'> = {
    async publish(topic, { data, attributes }) {
      await hooks.onPublish?.(topic)
      sent.push({ topic, body: json(data, topic) as StepDue, attributes })
      return 'id'
    },
  }
  const assets = openStore(`file://${folder}/assets`)
  const scratch = openStore(`file://${folder}/scratch`)
  const message = (
    over: Partial<StepDue> = {},
    plan: Partial<StepDue['plan']> = {},
  ): StepDue => {
    const { masters: _, ...envelope } = accepted(['pieces'], { track: 'track' })
    const unit = (asset: string, start: number, end: number) => ({
      asset,
      version: 1,
      start,
      end,
    })
    return {
      ...envelope,
      master: { uri, revision, samples: SAMPLES, layout: 'WAV' },
      plan: {
        digest: '0123456789abcdef',
        revision,
        pcm: { kind: 'in-place', uri, revision, offset: 0, bigEndian: false, samples: SAMPLES },
        units: [
          unit('pieces', 0, 2 * RATE),
          unit('pieces', 2 * RATE, SAMPLES),
          unit('flac', 0, SAMPLES),
        ],
        steps: { ...NO_STEPS, encode: [[0], [1, 2]] },
        ...plan,
      },
      step: 0,
      verdicts: {},
      ...over,
    }
  }
  const stepOf = (stage: MakingStage, masters = (driver: StoreDriver) => driver) =>
    unitStep(stage, {
      registry,
      isolation: new Isolation({ quietMs: 500 }),
      locate(where) {
        const { driver, name } = locate(where)
        return { driver: masters(driver), name }
      },
      tools: (lent) => lent as never,
    })
  const run = (
    due: StepDue,
    {
      stage = 'encode' as MakingStage,
      attempt = 1,
      hardLimitMs = 13_000,
      store = scratch,
      cores = new OwnCores(1) as Cores,
      masters = (driver: StoreDriver) => driver,
      step = stepOf(stage, masters),
    } = {},
  ) => {
    return delivering(step, {
      bus: bus as Bus,
      assets,
      scratch: store,
      hardLimitMs,
      events: { report: async (event) => void events.push(event) },
      log: createLog('units', 'silent'),
      metrics: createMetrics('units'),
      cores,
      stopping: never,
      aborting: never,
      breaker: { isSuspect: async () => false },
    })({
      id: '1',
      attributes: {},
      attempt,
      published: new Date(),
      data: Buffer.from(JSON.stringify(due)),
    })
  }
  const names = async (which: 'assets' | 'scratch') =>
    (
      await readdir(join(folder, which), { recursive: true, withFileTypes: true }).catch(
        () => [],
      )
    )
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.~'))
      .map((entry) =>
        join(entry.parentPath, entry.name).slice(folder.length + which.length + 2),
      )
      .sort()
  const topics = () => sent.map(({ topic }) => topic)
  const ends = () => sent.flatMap(({ topic, body }) => (topic === 'publish' ? [body] : []))
  const joins = () => sent.flatMap(({ topic, body }) => (topic === 'encode' ? [body] : []))
  return {
    folder,
    master,
    registry,
    calls,
    does,
    sent,
    events,
    hooks,
    assets,
    scratch,
    parts,
    message,
    stepOf,
    run,
    names,
    topics,
    ends,
    joins,
    own,
  }
}

/** A plan of one step with this unit alone. */
export const alone = (unit: number) => ({ steps: { ...NO_STEPS, encode: [[unit]] } })
export const fails = (error: Error) => async () => {
  throw error
}
