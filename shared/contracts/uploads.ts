import { withoutPaths } from './errors/without-paths.ts'
import type { ObjectName, Revision } from './names.ts'

/** Among the candidates for a master: the latest upload of this track. */
export function uploadOf(assetGuid: string): string {
  return `upload:${assetGuid}`
}

/** What the API calls these very bytes of an upload: where they lie is nobody's business. */
export function uploadUri(assetGuid: string, sha256: string): string {
  return `${uploadOf(assetGuid)}/${sha256}`
}

/** Where such bytes lie below the store of uploads; undefined when a URI is none of that kind. */
export function uploadPlace(uri: string, uploads: string): string | undefined {
  const [, guid, sha256] =
    /^upload:([A-Za-z0-9][\w.~-]{0,127})\/([0-9a-f]{64})$/.exec(uri) ?? []
  return guid && `${uploads.replace(/\/$/, '')}/${guid}/${sha256}.upload`
}

/** The URI of a master as the API tells it: without the folders above it. Buckets are known to who asks. */
export function shownUri(uri: string): string {
  const [, guid, sha256] = /([^/]+)\/([0-9a-f]{64})\.upload$/.exec(uri) ?? []
  if (guid !== undefined && sha256 !== undefined) return uploadUri(guid, sha256)
  return uri.startsWith('file:') ? withoutPaths(uri) : uri
}

export function uploadName(assetGuid: string, sha256: string): ObjectName {
  return `${assetGuid}/${sha256}.upload` as ObjectName
}

/** The sha256 in the name of an upload; undefined when it is not the name of one. */
export function sha256In(name: ObjectName): string | undefined {
  return /(?:^|\/)([0-9a-f]{64})\.upload$/.exec(name)?.[1]
}

/** What the name of an upload says of its bytes; undefined when it is not the name of one. */
export function uploadRevision(name: ObjectName): Revision | undefined {
  const sha256 = sha256In(name)
  return sha256 === undefined ? undefined : (`x${sha256.slice(0, 32)}` as Revision)
}
