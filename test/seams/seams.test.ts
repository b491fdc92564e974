import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { jobId } from '#shared/contracts/names.ts'
import { wav } from '../support/audio.ts'
import { filesBelow, surroundings, until } from '../support/chain.ts'
import { patient } from '../support/patience.ts'
import { club } from '../support/synth.ts'

t.setTimeout(patient(1_200_000))
/** Whether all seams are tested, and not only the first and the last of each kind. */
const ALL_SEAMS = process.env.SEAMS === 'all'
/**
 * The most jobs that a process takes with it, each at a seam of its own; every consumer of the process has as many
 * places. A start of the process takes more than a core-second.
 */
const TOGETHER = ALL_SEAMS ? 1 : 4

// Small steps: two seconds of audio are fanned out into parts.
const around = await surroundings({ target_ms: 260 })
const { folder, published } = around
let child: ChildProcess | undefined
let spare = fresh()
t.teardown(async () => {
  child?.kill('SIGKILL')
  spare.kill('SIGKILL')
  await around.close()
})

// A master that is not 16-bit, 44.1 kHz or stereo, so that conversion, scratch and its removal are included.
const master = wav([club(2 * 48_000, { rate: 48_000 })[0]], { rate: 48_000, bits: 24 })

t.test('killed at any seam, everything finishes, equal to an undisturbed run', async (t) => {
  const reference = newJob(0)
  const passed = await seamsOf([reference, newJob(1)])
  // Which of two steps finds all made is a race, and both may: only what happens each time can be waited for.
  const seams = passed[0]?.filter((seam) => passed[1]?.includes(seam)) ?? []
  for (const kind of ['write:', 'publish:', 'commit:', 'remove:', 'ack:']) {
    t.ok(
      seams.some((seam) => seam.includes(kind)),
      `there are seams of ${kind}`,
    )
  }

  t.ok(
    seams.some((seam) => /ack:(analyze|encode)#2/.test(seam)),
    'a stage is fanned out',
  )
  t.ok(
    seams.some((seam) => /ack:stage#2/.test(seam)),
    'so is staging',
  )

  // The events of all steps are sent in the same way, so the seams of the first event stand for all of them.
  // The place after a seam is left out, because for the outside it is the same moment as the one before the next
  // seam of the step: each step ends with an ack.
  const distinct = seams
    .filter(
      (seam) => ALL_SEAMS || (!/:events#([2-9]|\d\d)/.test(seam) && !seam.startsWith('after ')),
    )
    .filter((seam, _, all) => ALL_SEAMS || isAtAnEnd(seam, all))
  const jobs: Job[] = []
  const waiting = distinct.map((seam) => {
    const [kind = '', nth] = seam.split('#')
    return { kind, nth, last: Number(nth) }
  })
  while (waiting.length > 0) {
    const group = nextGroup(waiting)
    const those = group.map(({ kind, last }, index) => ({
      ...newJob(jobs.length + 2 + index),
      seam: `${kind}#${last}`,
    }))
    jobs.push(...those)
    const reached = await killedAt(those)
    for (const [index, { kind, nth, last }] of group.entries()) {
      // On a busy machine both runs may have lost a race that later ones win, and events share messages as it comes:
      // then the one before it is the last of its kind.
      if (!reached[index] && last > 1) waiting.push({ kind, nth, last: last - 1 })
      else t.ok(reached[index], `killed at ${kind}#${last}, of ${nth}`)
    }
  }

  child = await start([])
  await until(() => jobs.every(({ track }) => published.has(track)), 60_000)
  // Tombstones stay until they are swept, for late copies of a step; samples and parts do not.
  const intermediate = async () =>
    Object.keys(await filesBelow(join(folder, 'scratch'))).filter((name) =>
      /\/(wav|parts)\//.test(name),
    )
  await until(async () => (await intermediate()).length === 0, 30_000).catch(() => {})

  const expected = await around.outcome(reference.track, requestId(reference.track))
  t.match(expected, {
    state: 'partial',
    verdicts: {
      broken: { state: 'failed', code: 'RENDER_FAILED' },
      echo: { state: 'made' },
      pieces: { state: 'made' },
    },
    announced: 1,
  })
  for (const { track, seam } of jobs) {
    t.same(await around.outcome(track, requestId(track)), expected, seam)
  }
  t.same(await intermediate(), [], 'scratch has neither samples nor parts')
})

/**
 * The next seams at which a process is killed. Jobs share commits and messages of events: one that waits before or after
 * those holds up the others. So only the last of a group may be there.
 */
function nextGroup<Seam extends { readonly kind: string }>(waiting: Seam[]): readonly Seam[] {
  const group: Seam[] = []
  while (group.length < TOGETHER) {
    const isLast = group.length === TOGETHER - 1
    const found = waiting.findIndex(({ kind }) => isLast || !isShared(kind))
    if (found < 0) break
    group.push(...waiting.splice(found, 1))
  }
  return group.length > 0 ? group : waiting.splice(0, 1)
}

function isShared(seam: string): boolean {
  return / commit:| publish:events/.test(seam)
}

/** For each job whether the process was killed when it was at its seam; if not, nothing was left to do of it. */
async function killedAt(jobs: readonly Job[]): Promise<readonly boolean[]> {
  const running = await start(jobs)
  child = running
  const exit = once(running, 'exit')
  const hasDied = () => running.exitCode !== null || running.signalCode !== null
  const there = new Set<string>()
  running.on('message', ({ track, seam }: Partial<Job>) => {
    if (jobs.some((job) => job.track === track && job.seam === seam)) there.add(`${track}`)
  })
  const isThere = ({ track }: Job) => there.has(track)
  // Where one is over, nothing is left but what waits at a seam.
  const haveStopped = async (some: readonly Job[]) =>
    some.every(isThere) ||
    (some.every((job) => isThere(job) || published.has(job.track)) &&
      (await around.isIdle(there.size)))
  const [early, late] = [
    jobs.filter(({ seam }) => !isShared(seam)),
    jobs.filter(({ seam }) => isShared(seam)),
  ]
  for (const some of [early, late]) {
    await Promise.all(some.map(submit))
    await until(async () => hasDied() || (await haveStopped(some)), 120_000, 100)
  }
  if (hasDied()) return jobs.map(() => true)
  running.kill('SIGKILL')
  await exit
  return jobs.map(isThere)
}

/** Whether it is the first or the last of its kind: those between differ from them by their number alone. */
function isAtAnEnd(seam: string, all: readonly string[]): boolean {
  const [kind] = seam.split('#')
  const same = all.filter((other) => other.startsWith(`${kind}#`))
  return seam === same[0] || seam === same.at(-1)
}

/** For each of these jobs the seams that it passes, undisturbed and alone, each once. */
async function seamsOf(jobs: readonly Job[]): Promise<readonly (readonly string[])[]> {
  const seams = jobs.map(() => new Set<string>())
  const running = await start(jobs)
  child = running
  running.on('message', ({ track, seam }: Partial<Job>) => {
    if (seam !== undefined) seams[jobs.findIndex((job) => job.track === track)]?.add(seam)
  })
  for (const job of jobs) {
    await submit(job)
    // What comes after the announcement takes its time.
    await until(async () => published.has(job.track) && (await around.isIdle()), 60_000, 100)
  }
  running.kill('SIGKILL')
  await once(running, 'exit')
  return seams.map((each) => [...each])
}

interface Job {
  readonly track: string
  readonly job: string
  readonly seam: string
}

function newJob(index: number): Job {
  const track = `seam-${String(index).padStart(3, '0')}`
  return { track, job: jobId(requestId(track), track), seam: '' }
}

function requestId(track: string): string {
  return `00000000-0000-4000-8000-${track.slice(-3).padStart(12, '0')}`
}

function fresh(): ChildProcess {
  return fork(new URL('./child.ts', import.meta.url), {
    env: { NODE_COMPILE_CACHE: join(folder, 'compiled'), ...process.env, ...around.env },
    // Without tap's own loaders: a hundred children begin.
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** Lets a child begin, and starts the next one ahead: most of its time goes into loading. */
async function start(jobs: readonly Job[]): Promise<ChildProcess> {
  const started = spare
  spare = fresh()
  started.send(jobs)
  await new Promise<void>((resolve, reject) => {
    started.on('message', ({ ready }: { ready?: boolean }) => ready && resolve())
    started.once('exit', (code, signal) =>
      reject(new Error(`the child ended: ${code ?? signal}`)),
    )
  })
  return started
}

async function submit({ track }: Job): Promise<void> {
  await around.master(track, master)
  await around.submit({
    request_id: requestId(track),
    asset_guid: track,
    derivative_assets: ['echo', 'pieces', 'broken'],
  })
}
