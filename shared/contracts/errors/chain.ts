import { type StoreCode, StoreError } from './store.ts'

/**
 * Every code that the chain itself gives: in a tombstone, an event, a dead letter and an announcement. `means` and
 * `remedy` are for the person who reads it. `effect` is what follows:
 * - `fails`: a verdict. The work can never succeed as requested and is not retried.
 * - `restarts`: the run cannot go on as planned, but the job can. It goes to `ingest` again by itself.
 * - `ends`: somebody wanted no more of it. Nothing has failed.
 * - `goes on`: a remark in the history. Nothing has failed.
 */
export const CHAIN_ERRORS = {
  NOT_JSON: {
    effect: 'fails',
    means: 'The body or message is not JSON.',
    remedy: 'Send one UTF-8 JSON document.',
  },
  NOT_AN_ENCODE_JOB: {
    effect: 'fails',
    means: 'The JSON is not an EncodeJob.',
    remedy: 'Compare it with GET /v1/schemas/encode-job.',
  },
  MESSAGE_TOO_LARGE: {
    effect: 'fails',
    means: 'The message is larger than can be processed.',
    remedy: 'Send less in it: ask for fewer assets, or raise max_message_kib.',
  },
  NO_TRACK: {
    effect: 'fails',
    means: 'The job names no track.',
    remedy: 'Give asset_guid, or asset_id.',
  },
  REQUEST_CONFLICT: {
    effect: 'fails',
    means: 'The same request_id was used for the same track before, and said something else.',
    remedy:
      'Give other work another request_id; to ask for more assets, send the rest of the job as it was.',
  },
  UNKNOWN_DERIVATIVE: {
    effect: 'fails',
    means: 'The job asks for a derivative asset that is not available here.',
    remedy: 'GET /v1/derivatives lists the available assets.',
  },
  UNKNOWN_SITE: {
    effect: 'fails',
    means: 'The job names a site that has no route.',
    remedy: 'Use a configured route, or leave site out.',
  },
  UNKNOWN_TENANT: {
    effect: 'fails',
    means: 'The job names a tenant that is not configured.',
    remedy:
      'Use a configured tenant, or leave tenant out; or have it configured, then redrive.',
  },
  OTHER_TENANT: {
    effect: 'fails',
    means: 'The job names another tenant than the one of its caller.',
    remedy: 'Leave tenant out, or use a token of that tenant.',
  },
  MASTER_OUT_OF_BOUNDS: {
    effect: 'fails',
    means: 'master_uri lies outside the configured prefixes.',
    remedy: 'Put the master below a configured prefix, or have the prefix configured.',
  },
  MASTER_NOT_FOUND: {
    effect: 'fails',
    means: 'The master was not there, however long stage waited.',
    remedy:
      'Deliver the master where the sentence says that it was looked for, then redrive; or submit the job anew, with the right master_uri.',
  },
  MASTER_CHANGED: {
    effect: 'restarts',
    means: 'The master changed while a run was reading it.',
    remedy: 'None: the job went to ingest again by itself.',
  },
  MASTER_UNREADABLE: {
    effect: 'fails',
    means: 'The master is not audio that can be read: damaged, empty or of another kind.',
    remedy:
      'Deliver a sound master (docs/reference/masters.md says what may be); where there is a dead letter, then redrive it.',
  },
  STRICT: {
    effect: 'fails',
    means: 'The master has warnings, and strict was asked for.',
    remedy: 'Deliver a sound master, then redrive; or post the job again without strict.',
  },
  TOO_LONG_TO_STAGE: {
    effect: 'fails',
    means: 'A compressed master is longer than the limit.',
    remedy: 'Deliver it as PCM (WAV, RF64, AIFF), which may have any length.',
  },
  OVER_LIMITS: {
    effect: 'fails',
    means: 'The master is longer, or has more channels or a higher rate, than is taken here.',
    remedy: 'Deliver another, or raise max_hours, max_channels or max_rate_hz.',
  },
  TOO_LONG_FOR_ASSET: {
    effect: 'fails',
    means: 'The asset can only be made of a whole track, and this one is too long for a step.',
    remedy: 'Ask for assets that can be made in parts.',
  },
  RENDER_FAILED: {
    effect: 'fails',
    means: 'A derivative asset could not be made of this master, and never will be.',
    remedy:
      "Read the sentence: mend the asset's code, or the master where the code finds fault with it, then redrive.",
  },
  OVER_BUDGET: {
    effect: 'fails',
    means:
      'A unit computed past the hard limit of a step, again and again, or let the event loop stand still, though neither store nor machine kept it waiting.',
    remedy:
      "Mend the code of the derivative asset that the sentence names, or correct the cost that it states. Where assets that are built in fail so, the route's cores are slower than its core_slowdown says.",
  },
  STANDS_STILL: {
    effect: 'fails',
    means:
      'A unit came to no end within the hard limit of a step, again and again, though it neither computed nor waited for a store or a core.',
    remedy:
      'Mend the code of the derivative asset that the sentence names: it waits for something that never comes.',
  },
  MASTER_OVER_BUDGET: {
    effect: 'fails',
    means:
      'Reading the master took more than any sound one takes: stage was stopped at the hard limit of a step, and nothing of it was ready.',
    remedy:
      "Deliver the master in another format, for example as WAV, then redrive. Where many masters fail so, the route's cores are slower than its core_slowdown says.",
  },
  OTHER_BYTES: {
    effect: 'fails',
    means:
      'Under the name that these bytes should have there are others, which are never replaced.',
    remedy:
      'Find out who wrote them (another build of a worker, or by hand); remove the object, then redrive.',
  },
  SLOW_UPSTREAM: {
    effect: 'goes on',
    means:
      'A step took longer than it should because a store is slow. It does not count against the asset.',
    remedy:
      'None: it goes on, or is tried again. If it lasts, look at the store and the link to it.',
  },
  STARVED: {
    effect: 'goes on',
    means:
      'A step took longer than it should because others had the cores, or was sent again behind the others of its lane. It does not count against the asset.',
    remedy:
      'None: it goes on, or is tried again. If it lasts, give the machine less to do, or add cores.',
  },
  CANCELLED: {
    effect: 'ends',
    means: 'The job was cancelled: its steps are not begun, and those that run are aborted.',
    remedy: 'None. To have it made after all, post the job again.',
  },
  SUPERSEDED: {
    effect: 'restarts',
    means: 'The plan asks for a version of an asset that this worker no longer makes.',
    remedy: 'None: the job went to ingest again by itself.',
  },
  SCRATCH_MISSING: {
    effect: 'restarts',
    means: 'An intermediate object is gone.',
    remedy: 'None: the job went to ingest again by itself.',
  },
  TOO_MANY_RESTARTS: {
    effect: 'fails',
    means: 'The job went to ingest again too often: its scratch or master keeps going away.',
    remedy: 'Look at the scratch lifecycle and at who writes the master, then redrive.',
  },
  GAVE_UP: {
    effect: 'fails',
    means: 'Twenty attempts met a passing fault each time, though no upstream was down.',
    remedy: 'Read the sentence for what is at fault; mend that, then redrive.',
  },
  POD_FAILED: {
    effect: 'fails',
    means: "A track's pod died again and again, of a cause of its own.",
    remedy: 'Read the reason and the last lines of its log; mend that, then redrive.',
  },
  NOT_A_MESSAGE: {
    effect: 'fails',
    means: 'The message does not keep the contract of its topic.',
    remedy: 'Only the chain publishes here: look for an older or foreign publisher.',
  },
  CRASHED: {
    effect: 'fails',
    means:
      'Pub/Sub delivered the message as often as it may, and it was never settled: each time its worker died or gave it back.',
    remedy:
      'Look in the history of its track and in the log for what happened each time; mend that, then redrive.',
  },
} as const satisfies Record<
  string,
  { effect: 'fails' | 'restarts' | 'ends' | 'goes on'; means: string; remedy: string }
>

type Table = typeof CHAIN_ERRORS
type CodesWith<Effect> = {
  [C in keyof Table]: Table[C]['effect'] extends Effect ? C : never
}[keyof Table]

/** The codes of verdicts, which are not retried. */
export type VerdictCode = CodesWith<'fails'>
/** The codes after which the job goes to `ingest` again. */
export type RestartCode = CodesWith<'restarts'>
/** The codes of steps that take longer than they should. */
export type DelayCode = CodesWith<'goes on'>

/** Whether a code is a verdict that this release knows: another release may have written it. */
export function isVerdictCode(code: string): code is VerdictCode {
  return (
    Object.hasOwn(CHAIN_ERRORS, code) && CHAIN_ERRORS[code as keyof Table].effect === 'fails'
  )
}

/** The remedy of a code; none of a code that another release wrote and this one does not know. */
export function remedyOf(code: string): { readonly remedy?: string } {
  if (!Object.hasOwn(CHAIN_ERRORS, code)) return {}
  return { remedy: CHAIN_ERRORS[code as keyof Table].remedy }
}

/** The work can never succeed as requested: a verdict, which is not retried. All other errors are retried. */
export class PermanentError extends Error {
  override readonly name = 'PermanentError'
  readonly code: VerdictCode
  /** The position of the fault in the input (a JSON pointer or a byte offset), if known. */
  readonly at: string | undefined

  constructor(code: VerdictCode, message: string, options?: ErrorOptions & { at?: string }) {
    super(message, options)
    this.code = code
    this.at = options?.at
  }
}

/** The run cannot go on as planned, but the job can: it goes to `ingest` again. */
export class RestartError extends Error {
  override readonly name = 'RestartError'
  readonly code: RestartCode

  constructor(code: RestartCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** What an answer of a store means to a run. All other errors of stores may pass, and are retried. */
const VERDICTS: Partial<Record<StoreCode, VerdictCode>> = {
  'bad-name': 'MASTER_OUT_OF_BOUNDS',
  'out-of-bounds': 'MASTER_OUT_OF_BOUNDS',
  'not-regular': 'MASTER_UNREADABLE',
  'other-bytes': 'OTHER_BYTES',
}

/** The chain's error for an error of a store: PermanentError or RestartError. Any other error is returned unchanged. */
export function asChainError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error
  // Only masters are read by revision.
  if (error.code === 'changed')
    return new RestartError('MASTER_CHANGED', error.message, { cause: error })
  const code = VERDICTS[error.code]
  return code === undefined ? error : new PermanentError(code, error.message, { cause: error })
}
