import type { Readable } from 'node:stream'
import { abandon } from '../../async/abandon.ts'
import { PermanentError, RestartError } from '../../contracts/errors/chain.ts'
import type { ObjectName } from '../../contracts/names.ts'
import { NotFoundError, type StoreDriver } from '../../store/driver/driver.ts'
import { hasCode } from '../../store/file/root.ts'
import { GcsError, isDenied } from '../../store/gcs/wire.ts'
import { type Operation, silence, type Upstream } from './breaker.ts'
import { longestMs, WriteSilence } from './silence.ts'

/** Of a step's 13 s so many may pass without a word from a store, ms. */
const SILENT_MS = 10_000
/** What is read without a stream is read in pieces of so many bytes. */
const PIECE_BYTES = 1 << 20
/** Nobody makes this one. */
const ABSENT = 'probe' as ObjectName

interface WatchedOptions {
  /** What is silent for longer has failed, ms; 10 s unless told. */
  readonly silentMs?: number | undefined
  /** Whether the upstream is one of several stores: that one of them refuses all says nothing of the others. */
  readonly isOneOfMany?: boolean
}

/**
 * The same store, whose faults the upstream hears of. What is silent for too long fails: an NFS server that is
 * gone never answers, and no file operation can be aborted.
 */
export function watched(
  driver: StoreDriver,
  upstream: Upstream,
  { silentMs = SILENT_MS, isOneOfMany = false }: WatchedOptions = {},
): StoreDriver {
  const probe = (signal: AbortSignal) => driver.stat(ABSENT, { signal })
  const tryWriting = (signal: AbortSignal) => driver.probe?.({ signal }) ?? probe(signal)
  const operation = (kind: 'look' | 'read' | 'write', signal?: AbortSignal) => ({
    ...{ kind, signal, limitMs: silentMs },
    isExpected: (error: unknown) => isExpected(error) || (isOneOfMany && isRefusal(error)),
    probe: kind === 'write' ? tryWriting : probe,
  })

  return {
    ...driver,
    stat(name, options) {
      const act = () => driver.stat(name, options)
      return upstream.call(act, operation('look', options?.signal))
    },
    async read(name, options) {
      // That it can be opened says little: it has been read when its end has come.
      const opening = operation('look', options?.signal)
      const reading = operation('read', options?.signal)
      let isLate = false
      const act = async () => {
        const stream = watchedStream(await driver.read(name, options), upstream, reading)
        // Nobody waits for it any more.
        if (isLate) stream.destroy()
        return stream
      }
      try {
        return await upstream.call(act, opening)
      } catch (error) {
        isLate = true
        throw error
      }
    },
    ...(driver.readInto && {
      async readInto(name, target, options) {
        const reading = operation('read', options.signal)
        // In pieces, so that a slow store is not taken for a silent one.
        for (let at = 0; at < target.length; at += PIECE_BYTES) {
          const piece = target.subarray(at, at + PIECE_BYTES)
          const start = options.start + at
          const act = async () => driver.readInto?.(name, piece, { ...options, start })
          const limitMs = longestMs(piece.length, silentMs)
          await upstream.call(act, { ...reading, limitMs })
        }
      },
    }),
    async create(name, body, options) {
      const { limitMs: _, ...writing } = operation('write', options.signal)
      const silence = new WriteSilence(silentMs)
      const act = () => driver.create(name, silence.watch(body), options)
      try {
        return await upstream.call(() => Promise.race([act(), silence.tooLong]), writing)
      } finally {
        silence.end()
      }
    },
    remove(name) {
      return upstream.call(() => driver.remove(name), operation('write'))
    },
    async *list(prefix, options) {
      const found = driver.list(prefix, options)[Symbol.asyncIterator]()
      try {
        for (;;) {
          const act = () => found.next()
          const next = await upstream.call(act, operation('look', options?.signal))
          if (next.done) return
          yield next.value
        }
      } finally {
        abandon(found)
      }
    },
    // However many there are. Who may create need not be one who may remove.
    removeAll(prefix) {
      const { limitMs: _, ...removing } = operation('write')
      const mayNot = (error: unknown) => isExpected(error) || isDenied(error)
      return upstream.call(() => driver.removeAll(prefix), { ...removing, isExpected: mayNot })
    },
  }
}

/** No, but an answer. */
function isExpected(error: unknown): boolean {
  return (
    error instanceof NotFoundError ||
    error instanceof RestartError ||
    error instanceof PermanentError
  )
}

/** Not allowed, or no such bucket: until somebody changes a setting. */
function isRefusal(error: unknown): boolean {
  if (error instanceof GcsError) return [400, 403, 404].includes(error.status)
  return hasCode(error, 'EACCES', 'EPERM')
}

/** Fails when it was asked for more and is silent for too long. */
function watchedStream(
  stream: Readable,
  upstream: Upstream,
  reading: Operation & { readonly limitMs: number },
): Readable {
  const { push, _read } = stream
  const { limitMs } = reading
  let timer: NodeJS.Timeout | undefined
  let asked: number | undefined
  stream._read = (size) => {
    asked = performance.now()
    clearTimeout(timer)
    timer = setTimeout(() => stream.destroy(silence('a read', limitMs)), limitMs)
    _read.call(stream, size)
  }
  stream.push = (chunk) => {
    asked = undefined
    clearTimeout(timer)
    if (chunk === null) upstream.succeeded(reading)
    return push.call(stream, chunk)
  }
  stream.once('error', (error) => upstream.failed(error, reading, asked))
  stream.once('close', () => clearTimeout(timer))
  return stream
}
