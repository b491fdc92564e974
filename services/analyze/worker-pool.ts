import { type Transferable, Worker } from 'node:worker_threads'
import { scheduledThread } from '#shared/underway/scheduled.ts'
import { underway } from '#shared/underway/underway.ts'
import type { Answer, Operation, Operations, Question } from './worker.ts'

/** Sends a question to a borrowed worker. One question at a time. */
type Ask = <K extends Operation>(
  operation: K,
  input: Operations[K]['input'],
  transfer?: readonly Transferable[],
) => Promise<Operations[K]['output']>

interface PoolOptions {
  /** Maximum number of workers: the number of cores of this process. */
  readonly threads: number
  /** The module that the workers run. Default: `worker.ts`. */
  readonly entry?: URL
}

/**
 * A pool of worker threads for analysis. They are started on demand and reused. Idle workers do not keep the
 * process alive; call `close` nevertheless.
 */
export class WorkerPool {
  readonly #threads: number
  readonly #entry: URL
  readonly #idle = new Set<Worker>()
  readonly #busy = new Set<Worker>()
  readonly #waiting: Waiting[] = []
  /** The thread id in the system, written by the worker itself; 0 until then. */
  readonly #thread = new WeakMap<Worker, Int32Array>()
  #closed = false

  constructor({ threads, entry = new URL('./worker.ts', import.meta.url) }: PoolOptions) {
    if (!(Number.isInteger(threads) && threads > 0)) throw new RangeError('threads')
    this.#threads = threads
    this.#entry = entry
  }

  /**
   * Lends a worker to `use` until it settles, after waiting for one if all are busy. When `signal` aborts, the
   * worker is terminated at once and the promise rejects with the signal's reason. If the worker dies (out of
   * memory, a crash), the promise rejects with an Error, and the work may be tried again on another worker.
   */
  async use<T>(signal: AbortSignal, use: (ask: Ask) => Promise<T>): Promise<T> {
    const worker = await this.#borrow(signal)
    const end = new AbortController()
    const thread = this.#thread.get(worker)
    const counted = underway()?.own?.measure(() =>
      thread?.[0] ? scheduledThread(`self/task/${thread[0]}`) : undefined,
    )
    try {
      const lost = lossOf(worker, signal, end.signal)
      const result = await Promise.race([use(askOf(worker, lost)), lost])
      end.abort()
      this.#giveBack(worker)
      return result
    } catch (error) {
      end.abort()
      // After any error the worker's heap may be in an undefined state.
      this.#discard(worker)
      throw error
    } finally {
      counted?.()
    }
  }

  /** Terminates all workers. Running and waiting calls reject. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { reject } of this.#waiting.splice(0)) reject(closed())
    const workers = [...this.#idle, ...this.#busy]
    await Promise.all(workers.map((worker) => worker.terminate()))
  }

  async #borrow(signal: AbortSignal): Promise<Worker> {
    signal.throwIfAborted()
    if (this.#closed) throw closed()
    const worker = this.#free()
    if (worker) return worker
    return new Promise((resolve, reject) => {
      const give = () => {
        signal.removeEventListener('abort', leave)
        const index = this.#waiting.indexOf(waiting)
        if (index >= 0) this.#waiting.splice(index, 1)
      }
      const waiting: Waiting = {
        resolve: (worker) => {
          give()
          resolve(worker)
        },
        reject: (error) => {
          give()
          reject(error)
        },
      }
      const leave = () => waiting.reject(signal.reason)
      signal.addEventListener('abort', leave)
      this.#waiting.push(waiting)
    })
  }

  /** An idle worker, or a new one if there is room. */
  #free(): Worker | undefined {
    const [idle] = this.#idle
    if (idle) {
      this.#idle.delete(idle)
      this.#busy.add(idle)
      idle.ref()
      return idle
    }
    if (this.#busy.size >= this.#threads) return undefined
    // Without the flags of the process: a loader or an inspector must not run in the worker.
    const thread = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(this.#entry, { execArgv: [], workerData: thread })
    this.#thread.set(worker, thread)
    worker.on('error', () => undefined)
    worker.on('exit', () => {
      this.#idle.delete(worker)
      this.#busy.delete(worker)
      this.#serveNext()
    })
    this.#busy.add(worker)
    return worker
  }

  #giveBack(worker: Worker): void {
    // If it has died since its last answer, 'exit' has made room already.
    if (!this.#busy.delete(worker)) return
    worker.unref()
    this.#idle.add(worker)
    this.#serveNext()
  }

  /** Terminates a worker. Its place becomes free when it has exited ('exit'), so that there are never too many. */
  #discard(worker: Worker): void {
    void worker.terminate()
  }

  #serveNext(): void {
    if (this.#closed || this.#waiting.length === 0) return
    const worker = this.#free()
    if (worker) this.#waiting[0]?.resolve(worker)
  }
}

interface Waiting {
  resolve(worker: Worker): void
  reject(error: unknown): void
}

/** Rejects when the worker dies or the signal aborts. Never resolves. */
function lossOf(worker: Worker, signal: AbortSignal, end: AbortSignal): Promise<never> {
  const lost = new Promise<never>((_, reject) => {
    const abort = () => reject(signal.reason)
    const died = (error: unknown) => reject(new Error('analysis worker died', { cause: error }))
    const exit = (code: number) => died(new Error(`exit code ${code}`))
    signal.addEventListener('abort', abort)
    worker.on('error', died)
    worker.on('exit', exit)
    end.addEventListener('abort', () => {
      signal.removeEventListener('abort', abort)
      worker.off('error', died)
      worker.off('exit', exit)
    })
    if (signal.aborted) abort()
  })
  lost.catch(() => undefined)
  return lost
}

function askOf(worker: Worker, lost: Promise<never>): Ask {
  return async (operation, input, transfer) => {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    worker.once('message', resolve)
    worker.postMessage({ operation, input } satisfies Question, transfer)
    const answer = await Promise.race([promise, lost]).finally(() =>
      worker.off('message', resolve),
    )
    if ('error' in answer) throw answer.error
    return answer.output as never
  }
}

function closed(): Error {
  return new Error('the pool of analysis workers is closed')
}
