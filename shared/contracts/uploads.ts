import { withoutPaths } from './errors/without-paths.ts'
import type { ObjectName, Revision } from './names.ts'

/** The candidate for a master that stands for the latest upload of this track. */
export function uploadOf(assetGuid: string): string {
  return `upload:${assetGuid}`
}

/** The URI in the API of an upload with this content. It does not show where the bytes are stored. */
export function uploadUri(assetGuid: string, sha256: string): string {
  return `${uploadOf(assetGuid)}/${sha256}`
}

/** The place of such an upload in the store of uploads; undefined if the URI is not one of an upload. */
export function uploadPlace(uri: string, uploads: string): string | undefined {
  const [, guid, sha256] =
    /^upload:([A-Za-z0-9][\w.~-]{0,127})\/([0-9a-f]{64})$/.exec(uri) ?? []
  return guid && `${uploads.replace(/\/$/, '')}/${guid}/${sha256}.upload`
}

/** The URI of a master as the API shows it: a file without its folders. Clients know the buckets. */
export function shownUri(uri: string): string {
  const [, guid, sha256] = /([^/]+)\/([0-9a-f]{64})\.upload$/.exec(uri) ?? []
  if (guid !== undefined && sha256 !== undefined) return uploadUri(guid, sha256)
  return withoutPaths(uri)
}

export function uploadName(assetGuid: string, sha256: string): ObjectName {
  return `${assetGuid}/${sha256}.upload` as ObjectName
}

/** The SHA-256 in the name of an upload; undefined if it is not the name of one. */
export function sha256In(name: ObjectName): string | undefined {
  return /(?:^|\/)([0-9a-f]{64})\.upload$/.exec(name)?.[1]
}

/** The revision of an upload, from its name; undefined if it is not the name of one. */
export function uploadRevision(name: ObjectName): Revision | undefined {
  const sha256 = sha256In(name)
  return sha256 === undefined ? undefined : (`x${sha256.slice(0, 32)}` as Revision)
}
