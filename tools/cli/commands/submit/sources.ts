import { createReadStream } from 'node:fs'
import { glob, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { guidOfFile, isAudio, isLeftBySystem } from '#shared/contracts/file-names.ts'
import { ASSET_GUID_PATTERN, trackOf } from '#shared/contracts/names.ts'
import { sha256OfText } from '../../../client/digest.ts'
import { filesAt } from '../../../client/masters.ts'
import { pathFrom, UsageError } from '../../../terminal/usage.ts'
import { manifestJobs, type Unreadable, type Wanted } from './manifest.ts'

const MANIFEST = /\.(ndjson|jsonl|csv)$/i
const URI = /^(gs|file):\/\//

/** The masters that the arguments of `submit` name. */
export interface Sources {
  /** Number of tracks; undefined with a manifest, whose length is not known beforehand. */
  readonly count: number | undefined
  /** Files that an operating system left beside the audio. They are skipped. */
  readonly left: readonly string[]
  /** Yields each as soon as it is known. Several consumers may read it concurrently. */
  readonly wanted: AsyncGenerator<Wanted | Unreadable>
}

/**
 * Files, folders, globs, URIs and manifests; `-` is a manifest on stdin. Everything but the lines of manifests is
 * checked first. A file without an asset_guid gets one when it has been read.
 * @throws UsageError that names what is not there
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
  const { audio, left } = await filesAt((await Promise.all(paths.map(pathsAt))).flat())
  if (audio.length === 0 && left.length > 0 && uris.length + manifests.length === 0) {
    throw new UsageError(`${left[0]} was left by a system beside a file, and is no audio.`)
  }
  const single = [
    ...audio.map((path) => ({ file: path, from: path })),
    ...[...new Set(uris)].map((uri) => ({ uri, from: uri })),
  ]
  if (guid !== undefined && (single.length !== 1 || manifests.length > 0)) {
    throw new UsageError('--guid names one track: give one file or URI with it.')
  }
  if (guid !== undefined && !new RegExp(ASSET_GUID_PATTERN).test(guid)) {
    throw new UsageError(`--guid must match ${ASSET_GUID_PATTERN}, got ${guid}.`)
  }
  const given = guid === undefined ? {} : { asset_guid: guid }
  async function* wanted(): AsyncGenerator<Wanted | Unreadable> {
    for (const { from, ...where } of single) {
      if ('file' in where) yield { job: given, file: where.file, from }
      else yield withGuid({ job: { ...given, master_uri: where.uri }, from })
    }
    for (const path of manifests) {
      const isStdin = path === '-'
      const bytes = isStdin ? stdin : createReadStream(pathFrom(path))
      const folder = isStdin ? pathFrom('.') : dirname(pathFrom(path))
      for await (const each of manifestJobs(bytes, { name: isStdin ? 'stdin' : path, folder }))
        yield 'job' in each ? withGuid(each) : each
    }
  }
  return { count: manifests.length > 0 ? undefined : single.length, left, wanted: wanted() }
}

/**
 * A job with a URI and without a track gets an asset_guid made of the URI. A name made of the content is not possible
 * here, because only the chain reads it.
 */
function withGuid(wanted: Wanted): Wanted {
  const { job, file } = wanted
  const { master_uri: uri } = job
  if (file !== undefined || trackOf(job) !== undefined || typeof uri !== 'string') return wanted
  return { ...wanted, job: { asset_guid: guidOfFile(uri, sha256OfText(uri)), ...job } }
}

/** The paths that an argument names: itself, or the matches of a glob that the shell has not expanded. */
async function pathsAt(arg: string): Promise<string[]> {
  const path = pathFrom(arg)
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() && !isAudio(path) && !isLeftBySystem(basename(path))) {
    throw new UsageError(
      `${arg} is no audio by its name, and no manifest (.ndjson, .jsonl, .csv).`,
    )
  }
  if (found !== undefined || !/[*?[{]/.test(arg)) return [path]
  const matches = await Array.fromAsync(glob(arg, { cwd: pathFrom('.') }))
  const audio = matches.filter((match) => isAudio(match) || isLeftBySystem(basename(match)))
  if (audio.length > 0) return audio.sort().map(pathFrom)
  throw new UsageError(`${arg} matches no audio file.`)
}

async function checkManifest(path: string): Promise<void> {
  if (path === '-') return
  const found = await stat(pathFrom(path)).catch(() => undefined)
  if (!found?.isFile()) throw new UsageError(`There is no file ${path}.`)
}
