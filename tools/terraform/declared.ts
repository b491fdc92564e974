/** The arguments of one block, as HCL in JSON has them: expressions are strings of the form `${…}`. */
export type Arguments = Readonly<Record<string, unknown>>

export interface Declared {
  /** `google_storage_bucket.scratch`; of a data source `data.…`. */
  readonly address: string
  readonly type: string
  readonly name: string
  readonly arguments: Arguments
}
