import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { guidOfFile, isAudio, isLeftBySystem } from '#shared/contracts/file-names.ts'
import { UsageError } from '../terminal/usage.ts'
import { sha256OfFile } from './digest.ts'

/** A master on this machine, and the track that it is submitted as. */
export interface MasterFile {
  readonly path: string
  readonly guid: string
  /** Tempo and key, where they are known beforehand. */
  readonly expected?: { readonly bpm: number; readonly key: string; readonly camelot: string }
}

/** The files that were found at some paths. */
interface FoundFiles {
  /** Paths of audio files, without duplicates. */
  readonly audio: readonly string[]
  /** Paths of files that macOS, Windows or a NAS left beside it: `._x.wav`, `.DS_Store`, … */
  readonly left: readonly string[]
}

/**
 * The masters at these paths, each named by its name and content. A folder stands for the audio files in it.
 * @throws UsageError that names what is not there or holds no audio.
 */
export async function findMasters(paths: readonly string[]): Promise<MasterFile[]> {
  const { audio } = await filesAt(paths)
  const found = new Map<string, MasterFile>()
  for (const path of audio) {
    const guid = guidOfFile(path, await sha256OfFile(path))
    if (!found.has(guid)) found.set(guid, { path, guid })
  }
  return [...found.values()]
}

/** The files at these paths. @throws UsageError that names what is not there or holds no audio. */
export async function filesAt(paths: readonly string[]): Promise<FoundFiles> {
  const all = [...new Set((await Promise.all(paths.map(expanded))).flat())]
  const isLeft = (path: string) => isLeftBySystem(basename(path))
  return { audio: all.filter((path) => !isLeft(path)), left: all.filter(isLeft) }
}

async function expanded(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined)
  if (!found) throw new UsageError(`There is no file ${path}.`)
  if (found.isFile()) return [path]
  if (!found.isDirectory()) throw new UsageError(`${path} is neither a file nor a folder.`)
  const names = (await readdir(path)).sort()
  const wanted = names.filter((name) => isAudio(name) || isLeftBySystem(name))
  if (wanted.some((name) => !isLeftBySystem(name)))
    return wanted.map((name) => join(path, name))
  throw new UsageError(`There is no audio file in ${path}.`)
}
