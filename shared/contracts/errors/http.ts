import type { VerdictCode } from './chain.ts'

/** Every code that only a problem document can have: its status, what it means, and what the client can do about it. */
export const HTTP_ERRORS = {
  OTHER_CONTENT: {
    status: 409,
    means: 'The track has a master of other content already.',
    remedy:
      'Give the file another asset_guid, or say that it replaces the other: submit --replace, or a request without "replace": false.',
  },
  HAS_ENDED: {
    status: 409,
    means: 'What is to be cancelled has ended already.',
    remedy: 'None: what was made stays made. To take a dead letter off the list, discard it.',
  },
  WRONG_STATE: {
    status: 409,
    means: 'The state of the campaign does not allow that.',
    remedy: 'Read the detail: it names the state, and those that allow it.',
  },
  EMPTY_QUESTION: {
    status: 422,
    means: 'The question of a campaign would find every track.',
    remedy:
      'Name what is stale or lacking, or something to filter by. For really all tracks filter by each state.',
  },
  MANIFEST_OUT_OF_BOUNDS: {
    status: 422,
    means: 'The manifest lies outside what the chain may read.',
    remedy: 'Put it within the prefixes of the masters, or post its lines.',
  },
  LETTER_TAKEN: {
    status: 409,
    means: 'The dead letter has been redriven or discarded already, or is just about to be.',
    remedy: 'None: look at the letter for who did what.',
  },
  NOT_REDRIVABLE: {
    status: 422,
    means: 'There is no job in the dead letter that could be run again.',
    remedy: 'Look at its body for who sent it, have that mended, and discard the letter.',
  },
  NOT_FOUND: {
    status: 404,
    means: 'The address or the thing that it names does not exist.',
    remedy: 'Check the identifier.',
  },
  BAD_REQUEST: {
    status: 400,
    means: 'The request cannot be understood.',
    remedy: 'Read the detail: it says what was wrong, where, and what was expected.',
  },
  TOO_LARGE: {
    status: 413,
    means: 'The request is larger than the limit.',
    remedy:
      'Send less at once. Of a master: have max_upload_mib raised, or put it where stage finds it and name it by master_uri.',
  },
  WRONG_CONTENT_TYPE: {
    status: 415,
    means: 'The content type is not one that this address takes.',
    remedy: 'Read the detail for those it does.',
  },
  WRONG_CONTENT_ENCODING: {
    status: 415,
    means: 'The body is packed in a way that this address does not take.',
    remedy: 'Send it unpacked, or by gzip where the detail says so.',
  },
  TOO_MANY_REFUSED: {
    status: 422,
    means: 'Too many lines of the body were refused; the rest was not read.',
    remedy: 'Correct the lines by the codes before this one, and post the rest again.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    means: 'The address is known, but not with this method.',
    remedy: 'Use a method that the Allow header names.',
  },
  RANGE_NOT_SATISFIABLE: {
    status: 416,
    means: 'The range of bytes is malformed or lies outside the file.',
    remedy: 'Ask for bytes=first-last within the length that Content-Range states.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    means: 'The request did not arrive in time.',
    remedy: 'Send it again, without pausing.',
  },
  URI_TOO_LONG: {
    status: 414,
    means: 'The address, or an identifier in it, is too long.',
    remedy: 'Check the identifier.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    means: 'The request line and headers are larger than the limit.',
    remedy: 'Send what is large in the body.',
  },
  NOT_TAGGABLE: {
    status: 422,
    means: 'The file is not one that tags can be put on.',
    remedy: 'Fetch it without ?tags.',
  },
  DIGEST_MISMATCH: {
    status: 422,
    means: 'The bytes that came are not those that the digest describes.',
    remedy:
      'Send the master again: it was damaged on the way, or the digest is of another file.',
  },
  UPLOAD_INCOMPLETE: {
    status: 400,
    means: 'Fewer bytes came than were announced.',
    remedy: 'Ask for the offset (HEAD) and resume from there.',
  },
  UPLOAD_CONFLICT: {
    status: 409,
    means: 'The offset is not where the upload stands.',
    remedy: 'Ask for the offset (HEAD) and resume from there.',
  },
  UNAUTHORIZED: {
    status: 401,
    means: 'No valid bearer token came with the request.',
    remedy:
      'Send Authorization: Bearer with a configured token, or an identity token of the configured issuer.',
  },
  SCOPE_MISSING: {
    status: 403,
    means: 'The caller is known, but may not do this.',
    remedy: 'Use a token with the scope that the detail names, or have the scope granted.',
  },
  FORBIDDEN: {
    status: 403,
    means: "The request's origin is not allowed.",
    remedy:
      'Use the address that the service is bound to, and a page of it or of an origin in TRACKCHAIN_CORS_ORIGINS.',
  },
  LINK_EXPIRED: {
    status: 403,
    means: 'The signed address was valid for a while that is over.',
    remedy: 'Have another made: GET /v1/tracks/{asset_guid}/assets/{asset}/link.',
  },
  LINK_INVALID: {
    status: 403,
    means: 'The address is signed by none of the keys in use, or has been changed.',
    remedy:
      'Use the address to the letter, or have another made: GET /v1/tracks/{asset_guid}/assets/{asset}/link.',
  },
  TOO_MANY_REQUESTS: {
    status: 429,
    means: 'More requests than the limit.',
    remedy: 'Wait as Retry-After says; use NDJSON for bulk.',
  },
  UPSTREAM_DOWN: {
    status: 503,
    means: 'Something this service needs does not answer.',
    remedy: 'Try again later: nothing was accepted.',
  },
  INTERNAL: {
    status: 500,
    means: 'Internal error.',
    remedy: 'Report it with `instance`, which is in the log.',
  },
} as const satisfies Record<string, { status: number; means: string; remedy: string }>

export type HttpCode = keyof typeof HTTP_ERRORS

/** A request is refused, or could not be served. It is answered by a problem document. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly code: HttpCode
  /** The position of the fault in the request: a JSON pointer, a part of a form or a header, if known. */
  readonly at: string | undefined

  constructor(code: HttpCode, message: string, options?: ErrorOptions & { at?: string }) {
    super(message, options)
    this.code = code
    this.at = options?.at
  }
}

/** The error for a part of a request that does not match its schema, for `compile`. */
export function badRequest(sentence: string, at: string): HttpError {
  return new HttpError('BAD_REQUEST', sentence, { at })
}

/** The statuses of verdicts that a request can meet, because the API and the `ingest` topic accept the same jobs. */
export const VERDICT_STATUS: Partial<Record<VerdictCode, number>> = {
  NOT_JSON: 400,
  REQUEST_CONFLICT: 409,
  OTHER_BYTES: 500,
  OTHER_TENANT: 403,
}

/** The HTTP status of a verdict. Default: 422, for the request is understood and its content refused. */
export function statusOf(code: VerdictCode): number {
  return VERDICT_STATUS[code] ?? 422
}

/** The address at which a code is explained: `type` of a problem document. */
export function typeOf(code: VerdictCode | HttpCode): string {
  return `/v1/errors/${code}`
}
