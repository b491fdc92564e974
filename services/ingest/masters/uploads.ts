/** An uploaded master at its final place: `{asset_guid}/{sha256}.upload` in the uploads store. */
export interface Stored {
  readonly asset_guid: string
  /** 64 hexadecimal digits, which name the revision. */
  readonly sha256: string
  readonly bytes: number
  readonly master_uri: string
  /** False when the same bytes were stored before. */
  readonly created: boolean
}

/** A body that has arrived completely and is durable, but has no final name yet. */
export interface Incoming {
  readonly sha256: string
  readonly bytes: number
  /** Gives the upload its final name. */
  keep(assetGuid: string, signal?: AbortSignal): Promise<Stored>
  /** Removes the upload, unless it was kept. */
  discard(): Promise<void>
}

interface ReceiveOptions {
  readonly mostBytes: number
  /** Called once the body is complete, before it gets its final name. */
  readonly onWhole?: (() => Promise<void>) | undefined
  readonly signal?: AbortSignal | undefined
}

/** The piece of an upload that one request brings. */
export interface Piece {
  readonly body: AsyncIterable<Uint8Array>
  /** Position of the first byte. Undefined: the piece is the whole upload, and replaces what was sent before. */
  readonly offset: number | undefined
  /** Number of bytes, if it is known. */
  readonly length: number | undefined
  /** Whether this piece completes the upload. */
  readonly isLast: boolean
  readonly mostBytes: number
  /** The sha256 of the complete upload, if the client announced it. */
  readonly sha256: string | undefined
  readonly signal?: AbortSignal | undefined
  /**
   * Called with the sha256 once the upload is complete, before it gets its final name. If it throws, the upload
   * gets none.
   */
  readonly onWhole?: ((sha256: string) => Promise<void>) | undefined
}

export type Standing =
  | { readonly state: 'partial'; readonly offset: number }
  | { readonly state: 'whole'; readonly offset: number; readonly stored: Stored }

/** Uploads in pieces. Their state lies in the store itself, so that any replica can continue any upload. */
export interface Resumable {
  /** How far an upload is; undefined when nothing of it has arrived. */
  standing(assetGuid: string, upload: string): Promise<Standing | undefined>
  /**
   * Appends a piece. If the connection breaks, the bytes that have arrived stay.
   * @throws HttpError UPLOAD_CONFLICT when the piece does not begin where the upload ends
   */
  append(assetGuid: string, upload: string, piece: Piece): Promise<Standing>
}

/** The store of masters that come through the API. No master is held in memory. */
export interface Uploads {
  /**
   * Receives a body whose sha256 is not known yet. On an error nothing is left behind.
   * @throws HttpError TOO_LARGE; whatever the body throws
   */
  receive(body: AsyncIterable<Uint8Array>, options: ReceiveOptions): Promise<Incoming>
  /**
   * Receives a body whose sha256 was announced, directly into its final place.
   * @throws HttpError DIGEST_MISMATCH
   */
  receiveAs?(
    assetGuid: string,
    sha256: string,
    body: AsyncIterable<Uint8Array>,
    options: ReceiveOptions,
  ): Promise<Stored>
  /** Defined only for stores that are folders. */
  readonly resumable?: Resumable
  /**
   * Defined only for Cloud Storage: a resumable upload URL for the object itself. The sha256 in the object's
   * name is not verified, because the bytes do not pass this process; but if a CRC-32C was announced, Cloud
   * Storage refuses bytes that do not match it. Resolves to undefined when the object exists.
   * @param options.origin the site whose page will send the bytes; without it, no browser may send them
   * @throws StoreError other-bytes when the existing object has another CRC-32C
   */
  session?(
    assetGuid: string,
    announced: { readonly sha256: string; readonly crc32c?: string },
    options: { readonly origin?: string | undefined; readonly signal?: AbortSignal },
  ): Promise<string | undefined>
  uri(assetGuid: string, sha256: string): string
  /** The sha256 of the latest upload of a track; undefined when there is none. */
  latest(assetGuid: string, signal?: AbortSignal): Promise<string | undefined>
}

/** The part of `Uploads` that differs between kinds of stores. */
export type KindOfUploads = Omit<Uploads, 'latest'>
