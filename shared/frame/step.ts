import type { PermanentError, RestartError } from '../contracts/errors/chain.ts'
import type { Contract } from '../contracts/message.ts'
import type { AcceptedRequest } from '../contracts/messages/run.ts'
import type { Warning } from '../contracts/messages/warning.ts'
import type { ObjectName } from '../contracts/names.ts'
import type { Body, Created, StoreDriver } from '../store/driver/driver.ts'

/** A message on its way to a topic, already checked against its contract. */
export interface Send {
  readonly topic: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
}

/** What follows a step. The delivery loop does it, in this order, and then acks. */
export interface Next {
  readonly sends: readonly Send[]
  /** Done once all sends are confirmed, one after the other: markers, clean-up. */
  readonly afterwards?: readonly (() => Promise<unknown>)[]
  /** `skipped`: every output was there already. */
  readonly verdict: 'accepted' | 'done' | 'skipped' | 'failed' | 'restarted'
  /** What was made or looked at, for the event. */
  readonly units?: readonly string[]
  readonly code?: string
  readonly sentence?: string
  /** Of the master, where the step has found out about it. */
  readonly warnings?: readonly Warning[]
  /** For the event of an accepted job: so that a row that could not be written at once is written later. */
  readonly request?: AcceptedRequest
  /** Whose the event is, where running has told more than the message did. */
  readonly subject?: Subject
}

/** Whose message it is, for the event and the log line. */
export interface Subject {
  readonly job: string
  readonly track: string
  readonly run: number
  readonly route: string
}

/** What of a delivery its meaning may depend on. */
export interface DeliveryFacts {
  readonly id: string
  /** From 1. */
  readonly attempt: number
  readonly attributes: Readonly<Record<string, string>>
}

export interface StepContext {
  readonly assets: StoreDriver
  readonly scratch: StoreDriver
  /** The same store, of a master say, with what is done to it counted as this step's. */
  counted(store: StoreDriver): StoreDriver
  /** To be told when scratch that nobody needs any more has been removed. */
  collected(): void
  /** To be told of each unit that is there, or has failed for good: a step that is given back says how far it is. */
  finished(unit: string): void
  /** Aborts at the hard limit of a step, or when shutting down takes too long. */
  readonly signal: AbortSignal
  readonly delivery: DeliveryFacts
  /** What the step has spent so far, ms: of its own time (see the hard limit), or on cores, if that is more. */
  spentMs(): number
  /**
   * Does a unit's work, as work of its own: see `during`. A stop at the hard limit meanwhile is counted in the folder
   * `stops` of scratch, if the unit had that time to itself.
   */
  asUnit<T>(
    unit: { readonly what: string; readonly stops: string },
    act: () => Promise<T>,
  ): Promise<T>
  /** Creates an object if it is absent; the delivery loop counts it. */
  write(
    store: 'assets' | 'scratch',
    name: ObjectName,
    body: Body,
    contentType: string,
  ): Promise<Created>
}

/**
 * One bounded unit of work caused by one message. `run` looks for its outputs before its inputs, makes
 * what is missing through `context.write`, and returns what follows; it never publishes or acks.
 */
export interface Step<In> {
  readonly name: string
  readonly input: Contract<In>
  subject(message: In, delivery: DeliveryFacts): Partial<Subject>
  /**
   * Waits until there is room for the work of this message; only then does its time begin to count. What it answers
   * is called at the end. Absent: there always is. @throws the signal's reason when it aborts before.
   */
  admit?(message: In, signal: AbortSignal): Promise<() => void>
  run(message: In, context: StepContext): Promise<Next>
  /**
   * The folder of scratch, with a slash at its end, in which the stops of this very step are counted: those at the hard
   * limit before it had made anything, and those of its process because it let the event loop stand still. Absent:
   * never given up for that, or by its units.
   */
  stops?(message: In): string
  /** Whether one stop of the step, which has computed until then and made nothing, is enough to fail it. */
  readonly isStoppedOnce?: boolean
  /** What follows when the work can never succeed. Without it the message itself is dead-lettered. */
  fail?(message: In, error: PermanentError, context: StepContext): Promise<Next>
  /** What follows when the run has to begin anew. */
  restart?(message: In, error: RestartError, context: StepContext): Promise<Next>
}

/** The identity function, for inference. */
export function defineStep<In>(step: Step<In>): Step<In> {
  return step
}

/** A message for a topic. A body that breaks the contract is a compile error, and throws if it gets this far. */
export function send<Body>(
  topic: string,
  contract: Contract<Body>,
  body: NoInfer<Body>,
  attributes: Readonly<Record<string, string>> = {},
): Send {
  return {
    topic,
    data: Buffer.from(JSON.stringify(contract.check(body))),
    attributes: { schema: contract.name, ...attributes },
  }
}
