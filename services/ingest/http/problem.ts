import type { Problem } from '#shared/contracts/api/problem.ts'
import {
  asChainError,
  CHAIN_ERRORS,
  PermanentError,
  type VerdictCode,
} from '#shared/contracts/errors/chain.ts'
import {
  HTTP_ERRORS,
  type HttpCode,
  HttpError,
  statusOf,
  typeOf,
} from '#shared/contracts/errors/http.ts'
import { isNotFound, StoreError } from '#shared/contracts/errors/store.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import { STATUS_CODES } from '#shared/frame/node-http.ts'

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** Maximum length of a detail, characters. An error in a long input is cut off. */
const MAX_DETAIL = 2000

/** The problem document of any error. @param id the id of the request */
export function problemOf(error: unknown, id: string): Problem {
  const { code, at, ...fault } = faultOf(error)
  const detail = withoutPaths(fault.detail)
  const { status, means, remedy } = explained(code)
  return {
    type: typeOf(code),
    title: means,
    status,
    code,
    detail: detail.length > MAX_DETAIL ? `${detail.slice(0, MAX_DETAIL)}…` : detail,
    instance: `urn:uuid:${id}`,
    ...(at === undefined ? {} : { at }),
    remedy,
  }
}

/** The entry of a code in its table, with the status of a problem document. */
function explained(code: HttpCode | VerdictCode) {
  if (code in HTTP_ERRORS) return HTTP_ERRORS[code as HttpCode]
  return { ...CHAIN_ERRORS[code as VerdictCode], status: statusOf(code as VerdictCode) }
}

interface Fault {
  readonly code: HttpCode | VerdictCode
  readonly detail: string
  readonly at?: string | undefined
}

/** The errors of fastify and its plug-ins, by their codes. */
const FOREIGN: Readonly<Record<string, Fault>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'TOO_LARGE',
    detail: 'The body is larger than the 1 MiB that a JSON document may have.',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'UPLOAD_INCOMPLETE',
    detail: 'The body has another length than Content-Length announced.',
  },
  FST_ERR_MAX_PARAM_LENGTH: {
    code: 'URI_TOO_LONG',
    detail: 'An identifier in the address is longer than any can be.',
  },
  FST_ERR_BAD_URL: {
    code: 'BAD_REQUEST',
    detail: 'The address cannot be read: after a % two hexadecimal digits are expected.',
  },
  FST_PROTO_VIOLATION: {
    code: 'BAD_REQUEST',
    detail: 'A form field has a name that no field may have.',
  },
  FST_INVALID_JSON_FIELD_ERROR: {
    code: 'NOT_JSON',
    detail: 'A form field that is declared as application/json is not JSON.',
  },
  FST_REQ_FILE_TOO_LARGE: { code: 'TOO_LARGE', detail: 'The file is larger than the limit.' },
  FST_PARTS_LIMIT: { code: 'TOO_LARGE', detail: 'The form has too many parts.' },
  FST_FILES_LIMIT: { code: 'TOO_LARGE', detail: 'The form has too many files; expected one.' },
  FST_FIELDS_LIMIT: { code: 'TOO_LARGE', detail: 'The form has too many fields.' },
  Z_DATA_ERROR: {
    code: 'BAD_REQUEST',
    detail: 'The body is no gzip, or damaged; Content-Encoding says that it is gzip.',
  },
  Z_BUF_ERROR: { code: 'UPLOAD_INCOMPLETE', detail: 'The gzip of the body breaks off.' },
  FST_MP_PREMATURE_CLOSE: {
    code: 'UPLOAD_INCOMPLETE',
    detail: 'The connection ended before the form did.',
  },
}

/** The errors of Node and of the parsers below fastify, which have a status but no code. */
const BY_STATUS: Readonly<Record<number, HttpCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'NOT_FOUND',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  408: 'REQUEST_TIMEOUT',
  413: 'TOO_LARGE',
  414: 'URI_TOO_LONG',
  415: 'WRONG_CONTENT_TYPE',
  416: 'RANGE_NOT_SATISFIABLE',
  429: 'TOO_MANY_REQUESTS',
  503: 'UPSTREAM_DOWN',
}

function faultOf(thrown: unknown): Fault {
  const error = asChainError(thrown)
  if (error instanceof HttpError || error instanceof PermanentError) {
    return { code: error.code, detail: error.message, at: error.at }
  }
  if (isNotFound(error)) {
    return {
      code: 'NOT_FOUND',
      detail: 'It is known, and its store does not have it any more.',
    }
  }
  const {
    code = '',
    statusCode = 500,
    message = '',
  } = error as Partial<{
    code: string
    statusCode: number
    message: string
  }>
  const foreign = FOREIGN[code]
  if (foreign !== undefined) return foreign
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return { code: 'UPLOAD_INCOMPLETE', detail: 'The connection ended before the body did.' }
  }
  if (isStoreFault(error)) {
    const why = code === '' ? '' : ` (${code})`
    return { code: 'UPSTREAM_DOWN', detail: `The store does not take or give it${why}.` }
  }
  if (/multipart|part terminated early|boundary|end of form/i.test(message)) {
    return { code: 'BAD_REQUEST', detail: `The form cannot be read: ${message}.` }
  }
  const known = BY_STATUS[statusCode]
  if (known !== undefined)
    return { code: known, detail: message || `${STATUS_CODES[statusCode]}` }
  // The cause of an internal error is logged and not shown to the client.
  return { code: 'INTERNAL', detail: 'The request could not be dealt with; the log says why.' }
}

/**
 * Whether Cloud Storage or a file system failed: full, unreachable or without permission. Never the client's
 * fault.
 */
function isStoreFault(error: unknown): boolean {
  return (
    error instanceof StoreError || typeof (error as NodeJS.ErrnoException).syscall === 'string'
  )
}
