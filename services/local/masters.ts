import { readdir, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { UsageError } from './usage.ts'

/** A master on this machine, and the track that it is to be. */
export interface MasterFile {
  readonly path: string
  readonly guid: string
  /** What is known of it beforehand. */
  readonly expected?: { readonly bpm: number; readonly key: string; readonly camelot: string }
}

const AUDIO = /\.(wav|wave|rf64|bwf|aiff?|aifc|flac|mp3|m4a|mp4|aac|og[ga]|opus)$/i

/**
 * The masters at these paths. A folder stands for the audio files in it.
 * @throws UsageError that names what is not there or holds no audio.
 */
export async function findMasters(paths: readonly string[]): Promise<MasterFile[]> {
  const files = (await Promise.all(paths.map(expanded))).flat()
  const taken = new Set<string>()
  return [...new Set(files)].map((path) => {
    const base = guidOf(path)
    let guid = base
    for (let n = 2; taken.has(guid); n++) guid = `${base}-${n}`
    taken.add(guid)
    return { path, guid }
  })
}

async function expanded(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined)
  if (!found) throw new UsageError(`There is no file ${path}.`)
  if (found.isFile()) return [path]
  if (!found.isDirectory()) throw new UsageError(`${path} is neither a file nor a folder.`)
  const names = (await readdir(path)).filter(isAudio).sort()
  if (names.length > 0) return names.map((name) => join(path, name))
  throw new UsageError(`There is no audio file in ${path}.`)
}

export function isAudio(path: string): boolean {
  return AUDIO.test(path)
}

/** As much of the name of a file or URI, without its extension, as an asset_guid may have. */
export function guidOf(path: string): string {
  const plain = basename(path, extname(path))
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._~-]+/g, '-')
  return plain.replace(/^[^A-Za-z0-9]+|-+$/g, '').slice(0, 100) || 'track'
}
