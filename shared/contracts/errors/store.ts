/**
 * What a store can say, and what follows:
 * - `answer`: the store works, and this is its answer.
 * - `setting`: it lasts until a setting or a permission is changed.
 * - `retry`: it may pass.
 */
const STORE_ERRORS = {
  /** There is no such object. */
  'not-found': 'answer',
  /** The object exists, and is not replaced. */
  exists: 'answer',
  /** The object exists with other bytes. */
  'other-bytes': 'answer',
  /** The object has another revision than the one asked for. */
  changed: 'answer',
  /** The name or URI is none that a store can have. */
  'bad-name': 'answer',
  /** The object lies outside the store or prefixes. */
  'out-of-bounds': 'answer',
  /** Something other than a regular file has the name. */
  'not-regular': 'answer',
  /** The identity lacks the permission. */
  denied: 'setting',
  /** The credentials are missing, expired or of no known identity. */
  unauthenticated: 'retry',
  /** The bucket does not exist, or the request is invalid. */
  refused: 'setting',
  /** The store asks for fewer requests. */
  throttled: 'retry',
  /** The bytes were damaged on the way. Nothing was kept. */
  damaged: 'retry',
  /** The store failed to answer the request. */
  unavailable: 'retry',
} as const satisfies Record<string, 'answer' | 'setting' | 'retry'>

export type StoreCode = keyof typeof STORE_ERRORS

/** What a driver says. What it means to a run or a request is for the caller to decide. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError'
  readonly code: StoreCode

  constructor(code: StoreCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Whether a store says that there is no such object. */
export function isNotFound(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'not-found'
}

/** Whether bytes were damaged on the way, so that they may be sent or fetched again. */
export function isDamaged(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'damaged'
}

/** Whether a store says that this identity lacks the permission, or is not known. */
export function isDenied(error: unknown): boolean {
  const { code } = error instanceof StoreError ? error : {}
  return code === 'denied' || code === 'unauthenticated'
}

/** What follows after an error of a store; undefined for errors of the network, of the file system and of callers. */
export function afterStoreError(error: unknown): (typeof STORE_ERRORS)[StoreCode] | undefined {
  if (error instanceof StoreError) return STORE_ERRORS[error.code]
  // The file system itself denies access.
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  return code === 'EACCES' || code === 'EPERM' ? 'setting' : undefined
}
