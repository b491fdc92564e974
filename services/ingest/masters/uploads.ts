/** An uploaded master in its place: `{asset_guid}/{sha256}.upload` in the uploads store. */
export interface Stored {
  readonly asset_guid: string
  /** 64 hexadecimal digits. It names the revision. */
  readonly sha256: string
  readonly bytes: number
  readonly master_uri: string
  /** False: these very bytes were there already. */
  readonly created: boolean
}

/** A body that has arrived whole and is durable, but has no name yet. */
export interface Incoming {
  readonly sha256: string
  readonly bytes: number
  /** Gives it its name. */
  keep(assetGuid: string, signal?: AbortSignal): Promise<Stored>
  /** Removes it, unless it was kept. */
  discard(): Promise<void>
}

interface ReceiveOptions {
  readonly mostBytes: number
  /** Called once the bytes are whole, before they get their name. */
  readonly onWhole?: (() => Promise<void>) | undefined
  readonly signal?: AbortSignal | undefined
}

/** One request's piece of an upload that may take several. */
export interface Piece {
  readonly body: AsyncIterable<Uint8Array>
  /** Where it begins; undefined: this is the whole, from the beginning, whatever came before. */
  readonly offset: number | undefined
  /** How many bytes it has, where that is known. */
  readonly length: number | undefined
  /** Whether the upload is whole once this piece is. */
  readonly isLast: boolean
  readonly mostBytes: number
  /** What the whole must have, where the client said so. */
  readonly sha256: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Called with the sha256 once the upload is whole, before it gets its name. What it throws leaves it unnamed. */
  readonly onWhole?: ((sha256: string) => Promise<void>) | undefined
}

export type Standing =
  | { readonly state: 'partial'; readonly offset: number }
  | { readonly state: 'whole'; readonly offset: number; readonly stored: Stored }

/** Uploads in pieces, whose state lies in the store itself: any replica can go on with any of them. */
export interface Resumable {
  /** Undefined when nothing has come of this upload. */
  standing(assetGuid: string, upload: string): Promise<Standing | undefined>
  /**
   * Appends a piece. What has come stays when the connection breaks.
   * @throws PermanentError UPLOAD_CONFLICT when it does not begin where the upload stands.
   */
  append(assetGuid: string, upload: string, piece: Piece): Promise<Standing>
}

/** Where masters that come through the API go. Nothing is ever held in memory. */
export interface Uploads {
  /** @throws PermanentError TOO_LARGE; what the body throws. Leaves nothing behind then. */
  receive(body: AsyncIterable<Uint8Array>, options: ReceiveOptions): Promise<Incoming>
  /** The same where the sha256 is announced, without a detour. @throws DIGEST_MISMATCH. */
  receiveAs?(
    assetGuid: string,
    sha256: string,
    body: AsyncIterable<Uint8Array>,
    options: ReceiveOptions,
  ): Promise<Stored>
  /** Only on stores that are folders. */
  readonly resumable?: Resumable
  /**
   * Only on Cloud Storage: a URL that takes the object directly, resumably. The name is the client's word: nobody here
   * sees the bytes, but Cloud Storage takes none of another CRC-32C, where one is announced. Undefined when the object
   * is there. `origin`: the site whose page will send them;
   * without it no browser may.
   * @throws PermanentError OTHER_BYTES when what is there has another CRC-32C.
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

/** What a kind of store does in its own way. */
export type KindOfUploads = Omit<Uploads, 'latest'>
