import { type Debugger, Session } from 'node:inspector'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BLAMED, type Blamed } from './underway.ts'

/** Within so long running JavaScript is interrupted, ms, unless it is in a system call or the like. */
const PAUSE_MS = 3_000

export interface Held {
  /** In whose code it was interrupted. */
  readonly blamed: Blamed | undefined
  /** The function and the file. */
  readonly where: string
  /** Has the main thread end the process. */
  exit(code: number): void
}

type Paused = (frames: readonly Debugger.CallFrame[]) => void

/** Interrupts the main thread from a worker thread, by the debugger's means, and asks it whose code it is in. */
export class Interrupter {
  readonly #session = new Session()
  readonly #files = new Map<string, string>()
  #onPaused: Paused | undefined

  /** @throws Error when there is no way to the main thread. */
  constructor() {
    this.#session.connectToMainThread()
    this.#session.on('Debugger.paused', ({ params }) => {
      // Nobody waits any more for one that comes late: it must not stay interrupted.
      if (this.#onPaused === undefined) this.#session.post('Debugger.resume')
      else this.#onPaused(params.callFrames)
      this.#onPaused = undefined
    })
    this.#session.on('Debugger.scriptParsed', ({ params }) =>
      this.#files.set(params.scriptId, params.url),
    )
    this.#session.post('Debugger.enable')
  }

  /** In whose code it is; it goes on. Undefined when it can't be interrupted, or it is nobody's. */
  async sample(): Promise<Blamed | undefined> {
    const held = await this.hold()
    if (held !== undefined) this.#session.post('Debugger.resume')
    return held?.blamed
  }

  /** Likewise; it stays interrupted. Undefined when that does not succeed. */
  async hold(): Promise<Held | undefined> {
    const paused = Promise.withResolvers<readonly Debugger.CallFrame[]>()
    this.#onPaused = paused.resolve
    this.#session.post('Debugger.pause')
    const frames = await within(paused.promise)
    this.#onPaused = undefined
    const [top] = frames ?? []
    if (top === undefined) return undefined
    const told = await within(this.#evaluate(top, `globalThis[Symbol.for('${BLAMED}')]?.()`))
    const file = basename(this.#files.get(top.location.scriptId) ?? '')
    return {
      blamed: typeof told === 'string' ? (JSON.parse(told) ?? undefined) : undefined,
      where: `${top.functionName || 'a function'} of ${file}:${top.location.lineNumber + 1}`,
      exit: (code) => void this.#evaluate(top, `globalThis.process.reallyExit(${code})`),
    }
  }

  /** Whatever is interrupted goes on, and is not interrupted any more. */
  end(): void {
    this.#session.disconnect()
  }

  #evaluate({ callFrameId }: Debugger.CallFrame, expression: string): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const asked = { callFrameId, expression, returnByValue: true }
    this.#session.post('Debugger.evaluateOnCallFrame', asked, (_, answer) =>
      resolve((answer as Debugger.EvaluateOnCallFrameReturnType | undefined)?.result?.value),
    )
    return promise
  }
}

function within<T>(promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, sleep(PAUSE_MS, undefined)])
}
