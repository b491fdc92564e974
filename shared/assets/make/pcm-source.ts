import type { PcmSource } from '../../audio/pcm.ts'
import { type ReadSamples, sourceOf } from '../../audio/ranged.ts'
import { WAV_HEADER_BYTES } from '../../audio/wav-part.ts'
import { asChainError, type RestartCode, RestartError } from '../../contracts/errors/chain.ts'
import { sentence } from '../../contracts/errors/sentence.ts'
import { isNotFound } from '../../contracts/errors/store.ts'
import type { PcmPlace } from '../../contracts/messages/run.ts'
import {
  type ObjectName,
  type Revision,
  rangeName,
  scratchName,
} from '../../contracts/names.ts'
import { BYTES_PER_SAMPLE } from '../../contracts/pcm-format.ts'
import type { StoreDriver } from '../../store/driver/driver.ts'

/** The stores in which the samples of a run may lie. */
export interface PcmStores {
  /** Resolves the URI of a master to its store and its name there. */
  readonly locate: (uri: string) => {
    readonly driver: StoreDriver
    readonly name: ObjectName
  }
  /** The store of the run's WAV parts. */
  readonly scratch: StoreDriver
  readonly run: Parameters<typeof scratchName>[0]
}

/**
 * The samples of a track where `stage` found or put them: in a conformant master, pinned to its revision, or in WAV
 * parts in scratch.
 *
 * Reads throw RestartError MASTER_CHANGED when the master is gone or has changed, SCRATCH_MISSING when a part is gone,
 * RangeError outside the track, and Error when a store returns too few bytes.
 */
export function pcmSource(place: PcmPlace, stores: PcmStores): PcmSource {
  const read = place.kind === 'in-place' ? inPlace(place, stores) : staged(place, stores)
  return sourceOf(place.samples, read)
}

/** The name in scratch of the WAV part with the samples [start, end) of a run. */
export function wavPartName(run: PcmStores['run'], start: number, end: number): ObjectName {
  return scratchName(run, 'wav', `${rangeName(start, end)}.wav`)
}

function inPlace(place: PcmPlace & { kind: 'in-place' }, stores: PcmStores): ReadSamples {
  const { driver, name } = stores.locate(place.uri)
  const revision = place.revision as Revision
  return async (start, end, signal, into = new Int16Array(2 * (end - start))) => {
    const from = place.offset + start * BYTES_PER_SAMPLE
    const bytes = bytesOf(into)
    await fill(driver, name, bytes, { start: from, revision, signal }).catch(
      missing('MASTER_CHANGED', `the master ${place.uri} is gone`),
    )
    if (place.bigEndian) Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).swap16()
    return into
  }
}

function staged(place: PcmPlace & { kind: 'staged' }, stores: PcmStores): ReadSamples {
  const { samples, partSamples } = place
  return async (start, end, signal, into = new Int16Array(2 * (end - start))) => {
    for (let at = start; at < end; ) {
      const partStart = at - (at % partSamples)
      const partEnd = Math.min(samples, partStart + partSamples)
      const to = Math.min(end, partEnd)
      const name = wavPartName(stores.run, partStart, partEnd)
      const first = WAV_HEADER_BYTES + (at - partStart) * BYTES_PER_SAMPLE
      const part = bytesOf(into.subarray(2 * (at - start), 2 * (to - start)))
      await fill(stores.scratch, name, part, { start: first, signal }).catch(
        missing('SCRATCH_MISSING', `the intermediate ${name} is gone`),
      )
      at = to
    }
    return into
  }
}

/** Reads exactly the bytes [start, end) of an object. @throws Error when there are fewer. */
export async function readBytes(
  store: StoreDriver,
  name: ObjectName,
  start: number,
  end: number,
  options: { revision?: Revision; signal?: AbortSignal | undefined } = {},
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start)
  await fill(store, name, bytes, { start, ...options })
  return bytes
}

/** Fills `bytes` from byte `start` of an object on. @throws Error when the object ends before. */
async function fill(
  store: StoreDriver,
  name: ObjectName,
  bytes: Uint8Array,
  options: { start: number; revision?: Revision; signal?: AbortSignal | undefined },
): Promise<void> {
  const { start, revision, signal } = options
  const how = { start, ...(revision && { revision }), ...(signal && { signal }) }
  if (store.readInto) return store.readInto(name, bytes, how)
  let length = 0
  const stream = await store.read(name, { ...how, end: start + bytes.length })
  for await (const piece of stream as AsyncIterable<Uint8Array>) {
    if (length + piece.length > bytes.length)
      throw new Error(`${name}: more bytes than asked for`)
    bytes.set(piece, length)
    length += piece.length
  }
  if (length !== bytes.length) {
    throw new Error(`${name}: ${length} bytes from ${start}, not ${bytes.length}`)
  }
}

function missing(code: RestartCode, message: string) {
  return (error: unknown): never => {
    if (isNotFound(error)) throw new RestartError(code, `${message}: ${sentence(error)}`)
    throw asChainError(error)
  }
}

function bytesOf(pcm: Int16Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength)
}
