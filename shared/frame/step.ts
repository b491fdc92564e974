import type { PermanentError, RestartError, VerdictCode } from '../contracts/errors/chain.ts'
import type { Contract } from '../contracts/message.ts'
import type { AcceptedRequest } from '../contracts/messages/run.ts'
import type { ObjectName } from '../contracts/names.ts'
import type { Warning } from '../contracts/warning.ts'
import type { Body, Created, StoreDriver } from '../store/driver/driver.ts'
import type { CancellableRun } from './cancellations.ts'

/** A message to publish, already checked against its contract. */
export interface Send {
  readonly topic: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
}

/** What follows from a step. The delivery loop publishes `sends`, runs `afterwards` and then acks. */
export interface Next {
  readonly sends: readonly Send[]
  /** Runs one after the other once all sends are confirmed: markers, clean-up. */
  readonly afterwards?: readonly (() => Promise<unknown>)[]
  /** `skipped`: every output existed already. `queued`: the job waits until its tenant has room. */
  readonly verdict: 'accepted' | 'queued' | 'done' | 'skipped' | 'failed' | 'restarted'
  /** What was made or inspected, for the event. */
  readonly units?: readonly string[]
  readonly code?: string
  readonly sentence?: string
  /** Warnings about the master that the step has found. */
  readonly warnings?: readonly Warning[]
  /** The request of an accepted job, for its event: from it a row that could not be written at once is written later. */
  readonly request?: AcceptedRequest
  /** When that job was accepted, where it was not now, ISO 8601. */
  readonly accepted?: string
  /** The subject of the event, if the run has found out more than the message says. */
  readonly subject?: Subject
}

/** The job, track, run and route that a message belongs to, for the event and the log line. */
export interface Subject {
  readonly job: string
  readonly track: string
  readonly run: number
  readonly route: string
}

/** The facts about a delivery that a step may use. */
export interface DeliveryFacts {
  readonly id: string
  /** The number of this delivery of the message, from 1. */
  readonly attempt: number
  readonly attributes: Readonly<Record<string, string>>
  /** When the message was published, by the clock of Pub/Sub. */
  readonly published: Date
}

/** What the delivery loop gives to a running step. */
export interface StepContext {
  readonly assets: StoreDriver
  readonly scratch: StoreDriver
  /** Wraps another store, e.g. that of a master, so that its operations count as this step's. */
  counted(store: StoreDriver): StoreDriver
  /** Call it when scratch that is no longer needed has been removed; it counts for the metrics. */
  collected(): void
  /** Call it for each unit that exists or has failed for good: the event of a step that is given back lists them. */
  finished(unit: string): void
  /** Aborts at the hard limit of a step, or when shutting down takes too long. */
  readonly signal: AbortSignal
  readonly delivery: DeliveryFacts
  /** What the step has spent so far, ms: the greater of its own time (see the hard limit) and its core time. */
  spentMs(): number
  /**
   * Runs work that computes on a core of its own. The wait for the core is not the step's time. The core is to be given
   * back for waits: what is written and sent needs none. @throws when no work may begin any more, and the step has not
   * had a core before.
   */
  onCore<T>(act: () => Promise<T>): Promise<T>
  /**
   * Runs the work of a unit as work of its own: see `during`. A stop at the hard limit during it is counted in the
   * folder `stops` of scratch, if the unit had that time to itself.
   */
  asUnit<T>(
    unit: { readonly what: string; readonly stops: string },
    act: () => Promise<T>,
  ): Promise<T>
  /** Creates an object if it is absent, and counts it. */
  write(
    store: 'assets' | 'scratch',
    name: ObjectName,
    body: Body,
    contentType: string,
  ): Promise<Created>
}

/**
 * One bounded unit of work caused by one message. `run` checks for its outputs before it reads its inputs, creates the
 * missing outputs by `context.write`, and returns what follows; it never publishes or acks.
 */
export interface Step<In> {
  readonly name: string
  readonly input: Contract<In>
  subject(message: In, delivery: DeliveryFacts): Partial<Subject>
  /**
   * The run that a message belongs to, if the step is not to work for a cancelled one: it is not begun, or aborted, and
   * its scratch is cleared. Absent: the step runs whatever was cancelled.
   */
  cancellable?(message: In): CancellableRun
  /** Ends what the step has begun elsewhere for a cancelled run. Scratch is cleared afterwards. */
  cancelled?(message: In, context: StepContext): Promise<unknown>
  run(message: In, context: StepContext): Promise<Next>
  /**
   * The folder of scratch, with a trailing slash, in which the stops of this step are counted: stops at the hard limit
   * before it had made anything, and ends of its process because it blocked the event loop. Absent: the step is never
   * given up for stops, or its units count them.
   */
  stops?(message: In): string
  /** Whether one stop fails the step, if it has computed up to the hard limit and made nothing. Default: false. */
  readonly isStoppedOnce?: boolean
  /**
   * The code of the verdict on a step that was stopped too often. Default: OVER_BUDGET, or STANDS_STILL if it did
   * nothing.
   */
  readonly stoppedCode?: VerdictCode
  /** What follows when the work can never succeed. Default: the message itself is dead-lettered. */
  fail?(message: In, error: PermanentError, context: StepContext): Promise<Next>
  /** What follows when the run has to restart. */
  restart?(message: In, error: RestartError, context: StepContext): Promise<Next>
}

/** The identity function, for inference. */
export function defineStep<In>(step: Step<In>): Step<In> {
  return step
}

/** A message for a topic. A body that breaks the contract is a compile error. @throws if it breaks it at run time. */
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
