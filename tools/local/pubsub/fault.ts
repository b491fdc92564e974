/** The gRPC status codes that this server returns: https://grpc.io/docs/guides/status-codes/ */
const STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const

export type Status = keyof typeof STATUS

/** An error that is returned to the client, over gRPC and REST alike. grpc-js reads `code` and `details`. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly status: Status
  readonly code: number
  readonly details: string

  constructor(status: Status, details: string) {
    super(details)
    this.status = status
    this.code = STATUS[status]
    this.details = details
  }
}
