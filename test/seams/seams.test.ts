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
  const passed = [await seamsOf(reference), await seamsOf(newJob(1))] as const
  // Which of two steps finds all made is a race, and both may: only what happens each time can be waited for.
  const seams = passed[0].filter((seam) => passed[1].includes(seam))
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
  const reached = async (seam: string) => {
    const job = { ...newJob(jobs.length + 2), seam }
    jobs.push(job)
    return killedAt(job)
  }
  for (const seam of distinct) {
    // On a busy machine both runs may have lost a race that later ones win, and events share messages as it comes:
    // then the one before it is the last of its kind.
    const [kind, nth] = seam.split('#')
    let last = Number(nth)
    while (last > 0 && !(await reached(`${kind}#${last}`))) last--
    t.ok(last > 0, `killed at ${kind}#${last}, of ${nth}`)
  }

  child = await start({ track: 'none', job: 'none', seam: '' })
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

/** Whether a job was killed at its seam; if not, the process was killed when nothing was left to do. */
async function killedAt(job: Job): Promise<boolean> {
  const running = await start(job)
  child = running
  const exit = once(running, 'exit')
  const hasDied = () => running.exitCode !== null || running.signalCode !== null
  await submit(job)
  await until(async () => hasDied() || (await isOver(job)), 120_000, 100)
  if (hasDied()) return true
  running.kill('SIGKILL')
  await exit
  return false
}

/** Whether it was announced, and nothing is left to do: what comes after the announcement takes its time. */
async function isOver({ track }: Job): Promise<boolean> {
  return published.has(track) && around.isIdle()
}

/** Whether it is the first or the last of its kind: those between differ from them by their number alone. */
function isAtAnEnd(seam: string, all: readonly string[]): boolean {
  const [kind] = seam.split('#')
  const same = all.filter((other) => other.startsWith(`${kind}#`))
  return seam === same[0] || seam === same.at(-1)
}

/** The seams that an undisturbed job passes, each once. */
async function seamsOf(job: Job): Promise<readonly string[]> {
  const seams = new Set<string>()
  child = await start(job)
  child.on('message', ({ seam }: { seam?: string }) => seam !== undefined && seams.add(seam))
  await submit(job)
  await until(() => isOver(job), 60_000, 100)
  child.kill('SIGKILL')
  await once(child, 'exit')
  return [...seams]
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
async function start(job: Job): Promise<ChildProcess> {
  const started = spare
  spare = fresh()
  started.send(job)
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
