import { createHmac, timingSafeEqual } from 'node:crypto'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { assetName, type ObjectName, type Revision } from '#shared/contracts/names.ts'
import type { SignedUrl } from '#shared/store/driver/driver.ts'

/** A file of a derivative asset, by the very bytes that it had when it was named. */
interface LinkedFile {
  readonly guid: string
  readonly revision: Revision
  readonly asset: { readonly id: string; readonly version: number }
  readonly extension: string
}

/** What comes with a request for a signed address, as it stands there. */
interface LinkRequest {
  readonly guid: string
  readonly revision: string
  readonly file: string
  readonly expires: string | undefined
  readonly signature: string | undefined
}

/** Signs addresses of files on this service, and checks them. */
export interface LinkSigner {
  /** The address of a file, from the root of this service. It lasts for `seconds` (1 to MAX_LINK_SECONDS), and up to one more. */
  sign(file: LinkedFile, seconds: number): SignedUrl
  /**
   * The file that a signed address names.
   * @throws HttpError LINK_INVALID when any of it is other than it was signed; LINK_EXPIRED
   */
  check(request: LinkRequest, now?: Date): LinkedFile & { readonly name: ObjectName }
}

/** Stands in what is signed, so that no signature of another kind, or of a later form, can be taken for one of these. */
const FORM = 'trackchain link 1'

/**
 * Signs by HMAC-SHA256 with the first key, and accepts signatures of all: keys are replaced by putting a new one in front
 * and leaving the old one for as long as its addresses are valid.
 * @throws Error when there is no key
 */
export function linkSigner(keys: readonly string[]): LinkSigner {
  const [first] = keys
  if (first === undefined) throw new Error('addresses cannot be signed without a key')
  return {
    sign(file, seconds) {
      const expires = Math.ceil(Date.now() / 1000) + seconds
      const { guid, revision, asset, extension } = file
      const name = `${asset.id}@${asset.version}.${extension}`
      const signature = signatureOf(first, [guid, revision, name, `${expires}`])
      return {
        url: `/v1/links/${guid}/${revision}/${name}?expires=${expires}&signature=${signature}`,
        expires: new Date(expires * 1000),
      }
    },
    check({ guid, revision, file, expires, signature }, now = new Date()) {
      const signed = [guid, revision, file, expires ?? '']
      // With all keys, so that the time taken reveals nothing.
      const isSigned = keys.filter((key) => isEqual(signatureOf(key, signed), signature ?? ''))
      const [, id, version, extension] = /^([^@]+)@(\d+)\.(\w+)$/.exec(file) ?? []
      if (isSigned.length === 0 || id === undefined || extension === undefined)
        throw new HttpError('LINK_INVALID', 'The signature is not that of this address.')
      const until = new Date(Number(expires) * 1000)
      if (until <= now) {
        const since = until.toISOString().replace('.000', '')
        throw new HttpError('LINK_EXPIRED', `The address has expired at ${since}.`, {
          at: 'query expires',
        })
      }
      const asset = { id, version: Number(version) }
      const from = revision as Revision
      const name = assetName(guid, from, asset, extension)
      return { guid, revision: from, asset, extension, name }
    },
  }
}

/** Of the texts as a list, so that no two addresses have one text. The method is not signed: GET and HEAD are alike. */
function signatureOf(key: string, texts: readonly string[]): string {
  return createHmac('sha256', key)
    .update(JSON.stringify([FORM, ...texts]))
    .digest('base64url')
}

/** Compares the texts and not the bytes that they encode, of which several texts could be the same. */
function isEqual(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)]
  return a.length === b.length && timingSafeEqual(a, b)
}
