import type { Scheme } from '../../contracts/store-uri.ts'
import type { StoreDriver } from './driver.ts'

/** A parsed URI of a place in a store. */
export interface StoreUri {
  readonly scheme: Scheme
  /** What stands between `//` and the path: a bucket; empty for a file system. */
  readonly authority: string
  readonly path: readonly string[]
}

/** A kind of store, which a driver declares. `Options`: the settings that its stores are opened with. */
export interface StoreKind<Options> {
  /** What its URIs look like, for people. */
  readonly form: string
  /** Whether its bytes cross a WAN, which bills them and may be slow, wherever this process runs. */
  readonly crossesWan: boolean
  /**
   * The path that the segments of a URI stand for.
   * @throws what `refuse` throws of a sentence that says what is wrong with the URI
   */
  pathOf(
    authority: string,
    segments: readonly string[],
    refuse: (why: string) => never,
  ): readonly string[]
  /** The name of the file or object at the end of a URI, as people write it. */
  fileName(lastSegment: string): string
  /** The root of a store for one object whose URI lies below no configured prefix. */
  rootOf(place: StoreUri): StoreUri
  /** Called once for all stores that share the options. @returns a function that opens the store at a place. */
  opener(options: Options): (place: StoreUri) => StoreDriver
}
