import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { wavPartName } from '#shared/assets/make/pcm-source.ts'
import type { JobId } from '#shared/contracts/names.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { locate, openStore } from '#shared/store/open.ts'
import { describeLayout, type Layout } from '../../services/stage/formats/layout.ts'
import { masterBytes } from '../../services/stage/formats/master-bytes.ts'
import { survey } from '../../services/stage/formats/survey.ts'
import {
  mostStreamSamples,
  pacing,
  planRanges,
  stageCost,
} from '../../services/stage/resample/cost.ts'
import { PART_SAMPLES } from '../../services/stage/resample/part-writer.ts'
import { type StageOptions, stageRange } from '../../services/stage/resample/range.ts'
import { stageStream } from '../../services/stage/resample/stream.ts'

// node tools/bench/staging.bench.ts FILE…: measures staging, step by step as the chain plans it, one after the
// other: core time of Node and of ffmpeg, wall-clock time, and the peak memory of either.

const PACE = { targetMs: 6000, coreSlowdown: 1 }
const RUN = { route: 'bench', job: 'bench' as JobId, run: 1, plan: 'bench' }
/** Linux counts the time of children in hundredths of a second. */
const TICK_MS = 10

for (const path of process.argv.slice(2)) {
  const { driver, name } = locate(pathToFileURL(path).href)
  const stat = await driver.stat(name)
  if (stat === undefined) throw new Error(`there is no ${path}`)
  const file = masterBytes(driver, name, stat)
  const signal = new AbortController().signal
  const layout = await survey(file, signal)
  const { fixedMs, skipMs, makeMs } = stageCost(layout)
  console.log(
    `${basename(path)}: ${describeLayout(layout)}, ${(stat.bytes / 1e6).toFixed(0)} MB`,
  )
  console.log(
    `  model: ${fixedMs} ms + ${skipMs.toFixed(2)} / ${makeMs.toFixed(2)} ms a second`,
  )
  const folder = await mkdtemp(join(tmpdir(), 'staging-'))
  const scratch = openStore(pathToFileURL(folder).href)
  const write: StageOptions['write'] = async (start, end, wav) => {
    await scratch.create(wavPartName(RUN, start, end), wav, {
      contentType: 'audio/wav',
      signal,
    })
  }
  try {
    await steps(layout, { file, signal, write })
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function steps(
  layout: Layout,
  { file, write, signal }: Pick<StageOptions, 'file' | 'signal' | 'write'>,
): Promise<void> {
  if (layout.kind === 'coded') {
    for (let start = 0, isOver = false; !isOver; ) {
      const from = start
      const mostSamples = mostStreamSamples(layout, PACE.coreSlowdown)
      const end = Math.min(start + PART_SAMPLES, mostSamples)
      await measured(async () => {
        const began = performance.now()
        const goesOn = pacing(start, PACE.targetMs, () => performance.now() - began)
        const staged = await stageStream(layout, {
          file,
          start,
          end,
          partSamples: PART_SAMPLES,
          mostSamples,
          goesOn,
          write,
          signal,
        })
        start = staged.end
        isOver = staged.isOver
        return [from, start]
      })
    }
    return
  }
  const { samples, partSamples, stepSamples } = planRanges(layout, PACE)
  for (let start = 0; start < samples; start += stepSamples) {
    const end = Math.min(samples, start + stepSamples)
    await measured(async () => {
      await stageRange(layout, { file, start, end, partSamples, write, signal })
      return [start, end]
    })
  }
}

async function measured(step: () => Promise<readonly [number, number]>): Promise<void> {
  const began = performance.now()
  const [own, children] = [process.cpuUsage(), childrenMs()]
  let ffmpegKb = 0
  const watch = setInterval(() => {
    ffmpegKb = Math.max(ffmpegKb, ...ffmpegs())
  }, 100)
  const [start, end] = await step()
  clearInterval(watch)
  const { user, system } = process.cpuUsage(own)
  const [node, ffmpeg] = [(user + system) / 1000, childrenMs() - children]
  const seconds = (samples: number) => (samples / SAMPLE_RATE).toFixed(0)
  const peaks = [process.resourceUsage().maxRSS, ffmpegKb].map((kb) => (kb / 1024).toFixed(0))
  console.log(
    `  ${seconds(start)}-${seconds(end)} s: ${((node + ffmpeg) / 1000).toFixed(2)} core-s (Node ${(node / 1000).toFixed(2)}, ffmpeg ${(ffmpeg / 1000).toFixed(2)}), ${((performance.now() - began) / 1000).toFixed(2)} s; peaks ${peaks[0]} and ${peaks[1]} MB`,
  )
}

function childrenMs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS
}

/** Peak memory of each ffmpeg that this process has started and that runs, kB. */
function ffmpegs(): number[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const status = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/status`, 'utf8') : ''
      const isOurs = status.includes(`PPid:\t${process.pid}\n`)
      return isOurs ? [Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0)] : []
    } catch {
      return []
    }
  })
}
