import { createReadStream } from 'node:fs'
import { glob, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ASSET_GUID_PATTERN } from '#shared/names.ts'
import { manifestJobs, type Unreadable, type Wanted } from './manifest.ts'
import { findMasters, guidOf, isAudio, type MasterFile } from './masters.ts'
import { pathFrom, UsageError } from './usage.ts'

const MANIFEST = /\.(ndjson|jsonl|csv)$/i
const URI = /^(gs|file):\/\//

/** What the arguments of `submit` stand for. */
export interface Sources {
  /** How many tracks, where that is known beforehand: there is no manifest. */
  readonly count: number | undefined
  /** Each as soon as it is known. May be read by several at once. */
  readonly wanted: AsyncGenerator<Wanted | Unreadable>
}

/**
 * Files, folders, globs, URIs and manifests; `-` is a manifest on stdin. All but the lines of manifests are looked at
 * first. @throws UsageError that names what is not there, or what two files would be.
 */
export async function sourcesOf(
  args: readonly string[],
  {
    guid,
    stdin,
  }: { readonly guid: string | undefined; readonly stdin: AsyncIterable<Uint8Array> },
): Promise<Sources> {
  if (args.length === 0) {
    throw new UsageError('submit takes files, folders, URIs or a manifest; --help shows how.')
  }
  const isManifest = (arg: string) => arg === '-' || (MANIFEST.test(arg) && !URI.test(arg))
  const manifests = args.filter(isManifest)
  const uris = args.filter((arg) => URI.test(arg))
  const paths = args.filter((arg) => !URI.test(arg) && !isManifest(arg))
  for (const path of manifests) await checkManifest(path)
  const files = (await Promise.all(paths.map(pathsAt))).flat()
  const single = [
    ...(await findMasters(files)).map(({ path }) => ({ file: path, from: path })),
    ...uris.map((uri) => ({ uri, from: uri })),
  ]
  if (guid !== undefined && (single.length !== 1 || manifests.length > 0)) {
    throw new UsageError('--guid names one track: give one file or URI with it.')
  }
  if (guid !== undefined && !new RegExp(ASSET_GUID_PATTERN).test(guid)) {
    throw new UsageError(`--guid must match ${ASSET_GUID_PATTERN}, got ${guid}.`)
  }
  const named = single.map((each) => ({ ...each, guid: guid ?? guidOf(each.from) }))
  refuseTwins(named)
  async function* wanted(): AsyncGenerator<Wanted | Unreadable> {
    for (const { guid: asset_guid, from, ...where } of named) {
      if ('file' in where) yield { job: { asset_guid }, file: where.file, from }
      else yield { job: { asset_guid, master_uri: where.uri }, from }
    }
    for (const path of manifests) {
      const isStdin = path === '-'
      const bytes = isStdin ? stdin : createReadStream(pathFrom(path))
      const folder = isStdin ? pathFrom('.') : dirname(pathFrom(path))
      for await (const each of manifestJobs(bytes, { name: isStdin ? 'stdin' : path, folder }))
        yield 'job' in each ? withGuid(each) : each
    }
  }
  return { count: manifests.length > 0 ? undefined : named.length, wanted: wanted() }
}

/** A line that names a file or URI and no track: the track is called after it, as an argument is. */
function withGuid(wanted: Wanted): Wanted {
  const { job, file = job.master_uri } = wanted
  if (job.asset_guid !== undefined || typeof file !== 'string') return wanted
  return { ...wanted, job: { asset_guid: guidOf(file), ...job } }
}

/** The paths that an argument stands for: itself, or what a glob finds that the shell has not resolved. */
async function pathsAt(arg: string): Promise<string[]> {
  const path = pathFrom(arg)
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() && !isAudio(path)) {
    throw new UsageError(
      `${arg} is no audio by its name, and no manifest (.ndjson, .jsonl, .csv).`,
    )
  }
  if (found !== undefined || !/[*?[{]/.test(arg)) return [path]
  const matches = await Array.fromAsync(glob(arg, { cwd: pathFrom('.') }))
  const audio = matches.filter(isAudio).sort()
  if (audio.length > 0) return audio.map(pathFrom)
  throw new UsageError(`${arg} matches no audio file.`)
}

async function checkManifest(path: string): Promise<void> {
  if (path === '-') return
  const found = await stat(pathFrom(path)).catch(() => undefined)
  if (!found?.isFile()) throw new UsageError(`There is no file ${path}.`)
}

function refuseTwins(tracks: readonly (Pick<MasterFile, 'guid'> & { from: string })[]): void {
  const taken = new Map<string, string>()
  for (const { guid, from } of tracks) {
    const other = taken.get(guid)
    if (other !== undefined) {
      throw new UsageError(
        `${other} and ${from} would both be the track ${guid}: give their guids in a manifest.`,
      )
    }
    taken.set(guid, from)
  }
}
