import { basename } from 'node:path'
import type { TrackNames } from '#shared/contracts/file-names.ts'
import { namesInFile } from '#shared/contracts/file-names.ts'
import type { AcceptedRequest } from '#shared/contracts/messages/run.ts'
import { kindOf } from '#shared/store/kinds.ts'
import type { ByteRanges } from './formats/byte-window.ts'
import { tagNames } from './formats/names/tag-names.ts'

/**
 * The title and the artist that the job leaves open, from the master's tags or else from the name of its file.
 * @throws whatever reading the store throws
 */
export async function masterNames(
  request: AcceptedRequest,
  uri: string,
  file: ByteRanges,
  signal: AbortSignal,
): Promise<TrackNames> {
  const { title, artist, file_name = nameIn(uri) } = request
  if (title !== undefined && artist !== undefined) return {}
  const tags = await tagNames(file, signal)
  const all = { ...namesInFile(isOwnName(file_name, request) ? '' : file_name), ...tags }
  return {
    ...(title === undefined && all.title !== undefined ? { title: all.title } : {}),
    ...(artist === undefined && all.artist !== undefined ? { artist: all.artist } : {}),
  }
}

/** The name of the file in a URI; empty for an upload, which is named by its content. */
function nameIn(uri: string): string {
  const name = basename(uri)
  if (name.endsWith('.upload') || uri.startsWith('upload:')) return ''
  return kindOf(uri)?.fileName(name) ?? name
}

/** Whether a file is named by the ids of the job, or by any id alone. Such a name says nothing about the music. */
function isOwnName(fileName: string, { asset_guid, asset_id, release_id }: AcceptedRequest) {
  const name = fileName.replace(/\.[A-Za-z0-9]{1,5}$/, '')
  return (
    [asset_guid, `${asset_id}`, `${release_id}`].includes(name) ||
    /^\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?$|^[0-9a-f]{32,64}$/i.test(name)
  )
}
