/** The arguments of one block in the JSON form of HCL: expressions are strings of the form `${…}`. */
export type Arguments = Readonly<Record<string, unknown>>

export interface Declared {
  /** The address, e.g. `google_storage_bucket.scratch`; of a data source `data.…`. */
  readonly address: string
  readonly type: string
  readonly name: string
  readonly arguments: Arguments
}
