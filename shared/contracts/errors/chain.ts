/**
 * Every code that a problem document, a log line, a tombstone or a dead letter can have: its meaning, and the remedy
 * for the person who reads it.
 */
export const ERRORS = {
  NOT_JSON: {
    status: 400,
    means: 'The body or message is not JSON.',
    remedy: 'Send one UTF-8 JSON document.',
  },
  NOT_AN_ENCODE_JOB: {
    status: 422,
    means: 'The JSON is not an EncodeJob.',
    remedy: 'Compare it with GET /v1/schemas/encode-job.',
  },
  NO_TRACK: {
    status: 422,
    means: 'The job names no track.',
    remedy: 'Give asset_guid, or asset_id.',
  },
  REQUEST_CONFLICT: {
    status: 409,
    means: 'The same request_id was used for the same track before, and said something else.',
    remedy:
      'Give other work another request_id; to ask for more assets, send the rest of the job as it was.',
  },
  OTHER_CONTENT: {
    status: 409,
    means: 'The track has a master of other content already.',
    remedy: 'Give the file another asset_guid, or say that it replaces the other: --replace.',
  },
  UNKNOWN_DERIVATIVE: {
    status: 422,
    means: 'The job asks for a derivative asset that nobody here makes.',
    remedy: 'GET /v1/derivatives lists what is on offer.',
  },
  UNKNOWN_SITE: {
    status: 422,
    means: 'The job names a site that has no route.',
    remedy: 'Use a configured route, or leave site out.',
  },
  MASTER_OUT_OF_BOUNDS: {
    status: 422,
    means: 'master_uri lies outside the configured prefixes.',
    remedy: 'Put the master below a configured prefix, or have the prefix configured.',
  },
  MASTER_NOT_FOUND: {
    status: 404,
    means: 'The master was not there, however long stage waited.',
    remedy: 'Deliver the master, then redrive.',
  },
  MASTER_CHANGED: {
    status: 409,
    means: 'The master changed while a run was reading it.',
    remedy: 'None: the job went to ingest again by itself.',
  },
  MASTER_UNREADABLE: {
    status: 422,
    means: 'The master is not audio that can be read: damaged, empty or of another kind.',
    remedy:
      'Deliver a sound master (docs/reference/masters.md says what may be), then redrive.',
  },
  STRICT: {
    status: 422,
    means: 'The master has warnings, and strict was asked for.',
    remedy: 'Deliver a sound master, then redrive; or ask anew, without strict.',
  },
  TOO_LONG_TO_STAGE: {
    status: 422,
    means: 'A compressed master is longer than the limit.',
    remedy: 'Deliver it as PCM (WAV, RF64, AIFF), which may have any length.',
  },
  OVER_LIMITS: {
    status: 422,
    means: 'The master is longer, or has more channels or a higher rate, than is taken here.',
    remedy: 'Deliver another, or raise max_hours, max_channels or max_rate.',
  },
  TOO_LONG_FOR_ASSET: {
    status: 422,
    means: 'The asset can only be made of a whole track, and this one is too long for a step.',
    remedy: 'Ask for assets that can be made in parts.',
  },
  RENDER_FAILED: {
    status: 500,
    means: 'A derivative asset could not be made of this master, and never will be.',
    remedy: 'Read the sentence; mend the master or the plug-in, then redrive.',
  },
  OVER_BUDGET: {
    status: 500,
    means:
      'A unit computed past the hard limit of a step, again and again, or let the event loop stand still, though neither store nor machine kept it waiting.',
    remedy:
      'Mend the plug-in, or correct the cost that it states. Of the step stage: deliver another master.',
  },
  STANDS_STILL: {
    status: 500,
    means:
      'A unit came to no end within the hard limit of a step, again and again, though it neither computed nor waited for a store or a core.',
    remedy: 'Mend the plug-in: it waits for something that never comes.',
  },
  OTHER_BYTES: {
    status: 500,
    means:
      'Under the name that these bytes should have there are others, which are never replaced.',
    remedy:
      'Find out who wrote them (another build of a worker, or by hand); remove the object, then redrive.',
  },
  SLOW_UPSTREAM: {
    status: 503,
    means:
      'A step took longer than it should because a store is slow. It does not count against the asset.',
    remedy:
      'None: it goes on, or is tried again. If it lasts, look at the store and the link to it.',
  },
  STARVED: {
    status: 503,
    means:
      'A step took longer than it should because other programs had the cores. It does not count against the asset.',
    remedy: 'None: it goes on, or is tried again. If it lasts, give the machine less to do.',
  },
  SUPERSEDED: {
    status: 409,
    means: 'The plan asks for a version of an asset that this worker no longer makes.',
    remedy: 'None: the job went to ingest again by itself.',
  },
  SCRATCH_MISSING: {
    status: 409,
    means: 'An intermediate object is gone.',
    remedy: 'None: the job went to ingest again by itself.',
  },
  TOO_MANY_RESTARTS: {
    status: 500,
    means: 'The job went to ingest again too often: its scratch or master keeps going away.',
    remedy: 'Look at the scratch lifecycle and at who writes the master, then redrive.',
  },
  GAVE_UP: {
    status: 503,
    means: 'Twenty attempts met a passing fault each time, though no upstream was down.',
    remedy: 'Read the sentence for what is at fault; mend that, then redrive.',
  },
  POD_FAILED: {
    status: 500,
    means: "A track's pod died again and again, of a cause of its own.",
    remedy: 'Read the reason and the last lines of its log; mend that, then redrive.',
  },
  NOT_A_MESSAGE: {
    status: 422,
    means: 'The message does not keep the contract of its topic.',
    remedy: 'Only the chain publishes here: look for an older or foreign publisher.',
  },
  CRASHED: {
    status: 500,
    means:
      'The message was delivered as often as Pub/Sub does, and nobody settled it: each time its worker died or gave it back.',
    remedy:
      'Look in the history of its track and in the log for what happened each time; mend that, then redrive.',
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
    means: 'There is no such thing.',
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
    remedy: 'Send less at once; masters go by PUT /v1/masters.',
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
    means: 'So many lines of the body were refused that the rest was not looked at.',
    remedy: 'Mend the lines by the codes before this one, and post the rest again.',
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
    means: 'Whoever asks is known, but may not do this.',
    remedy: 'Use a token with the scope that the detail names, or have the scope granted.',
  },
  FORBIDDEN: {
    status: 403,
    means: 'The request comes from a place that may not make it.',
    remedy: 'Use the address that the service is bound to, and no page of another site.',
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
    means: 'A fault of ours.',
    remedy: 'Report it with the log line.',
  },
} as const satisfies Record<string, { status: number; means: string; remedy: string }>

export type ErrorCode = keyof typeof ERRORS

/** The remedy of a code; none of a code that another release wrote and this one does not know. */
export function remedyOf(code: string): { readonly remedy?: string } {
  return Object.hasOwn(ERRORS, code) ? { remedy: ERRORS[code as ErrorCode].remedy } : {}
}

/** The work can never succeed as requested: a verdict, which is not retried. All other errors are retried. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError'
  readonly code: ErrorCode
  /** The position of the fault in the input (a JSON pointer or a byte offset), if known. */
  readonly at: string | undefined

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { at?: string }) {
    super(message, options)
    this.code = code
    this.at = options?.at
  }
}

/** The run cannot go on as planned, but the job can: it goes to `ingest` again. */
export class RestartError extends Error {
  override readonly name = 'RestartError'
  readonly code: 'MASTER_CHANGED' | 'SCRATCH_MISSING' | 'SUPERSEDED'

  constructor(code: RestartError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * The message of anything that was thrown, fit for a log line, a sentence or a row: a message may quote the bytes at
 * fault, and one NUL in an event would dead-letter the whole batch. Never throws.
 */
export function sentence(error: unknown): string {
  try {
    const text = error instanceof Error ? String(error.message) : String(error)
    return text
      .toWellFormed()
      .replace(/(?![\t\n])\p{Cc}/gu, (unfit) => JSON.stringify(unfit).slice(1, -1))
  } catch {
    return 'something that says nothing of itself'
  }
}
