import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { FFMPEG_NEEDS } from '#shared/audio/ffmpeg-needs.ts'
import { type Check, judged } from './check.ts'

const INSTALL = 'install the full ffmpeg of the distribution (Debian: apt-get install ffmpeg)'

/** Checks that ffmpeg is installed, and supports what masters and assets need. */
export function ffmpegCheck(): Check {
  return {
    name: 'ffmpeg',
    remedy: INSTALL,
    async run(signal) {
      const [said, ...missing] = await Promise.all([
        ffmpeg('version', signal),
        ...Object.entries(FFMPEG_NEEDS).map(async ([list, needed]) => {
          const there = names(await ffmpeg(list, signal))
          return needed.filter((name) => !there.has(name)).map((name) => `${one(list)} ${name}`)
        }),
      ])
      const complaints = missing.flat().map((what) => ({
        state: 'fault' as const,
        found: `no ${what}`,
        remedy: INSTALL,
      }))
      const version = /^ffmpeg version (\S+)/.exec(said)?.[1] ?? 'of unknown version'
      const count = Object.values(FFMPEG_NEEDS).flat().length
      return [judged('ffmpeg', complaints, `${version}, all ${count} parts that are needed`)]
    },
  }
}

async function ffmpeg(list: string, signal: AbortSignal): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('ffmpeg', ['-hide_banner', `-${list}`], {
      signal,
    })
    return stdout
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error('ffmpeg is not on the PATH', { cause: error })
  }
}

/** The names in a list of ffmpeg. They follow the flags, several for a demuxer; protocols have no flags. */
function names(list: string): ReadonlySet<string> {
  return new Set(
    list.split('\n').flatMap((line) => {
      const [first = '', ...rest] = line.trim().split(/\s+/)
      // In newer releases `d` marks devices.
      const [second = first] = rest[0] === 'd' ? rest.slice(1) : rest
      return second.split(',')
    }),
  )
}

function one(list: string): string {
  return list.replace(/s$/, '')
}
