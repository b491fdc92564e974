import {
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { Bus } from '../../bus/bus.ts'

/** The attribute of a message, and the header of a request, that says which trace it belongs to: W3C's. */
export const TRACEPARENT = 'traceparent'

/** What is told of a span beside its name and times. */
type SpanFacts = Readonly<Record<string, string | number | undefined>>

/** Something that takes its time, as a part of a trace. */
export interface Span {
  /** For what follows from it, in messages. Undefined: it belongs to no trace. */
  readonly traceparent: string | undefined
  /** @param fault why it has failed, if it has */
  end(facts: SpanFacts, fault?: string): void
}

export interface Tracing {
  /** @param parent the traceparent that came along, from anybody; without a good one a new trace begins */
  begin(name: string, kind: 'request' | 'message', parent: string | undefined): Span
  /** Hands over what was not yet. Does not throw. */
  close(): Promise<void>
}

/** Makes no spans; what came along is passed on, because others may trace what we do not. */
export const UNTRACED: Tracing = {
  begin: (_name, _kind, parent) => ({
    traceparent: contextOf(parent) && parent,
    end() {},
  }),
  async close() {},
}

/** How long the end of a process may wait for its last spans, ms. */
const CLOSE_MS = 1000
/** Spans travel together for so long, ms. */
const GATHER_MS = 1000

/**
 * Spans by OpenTelemetry's SDK, which is loaded only when they are wanted.
 * @param to a file:/// URI, which gets a line of OTLP-JSON for each batch; or the http(s) URL of an OTLP receiver
 */
export async function openTracing(service: string, to: string): Promise<Tracing> {
  if (to === '') return UNTRACED
  const { BasicTracerProvider, BatchSpanProcessor } = await import(
    '@opentelemetry/sdk-trace-base'
  )
  const { resourceFromAttributes } = await import('@opentelemetry/resources')
  const { exporterTo } = await import('./trace-export.ts')
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.namespace': 'trackchain',
      'service.name': service,
    }),
    spanProcessors: [
      new BatchSpanProcessor(await exporterTo(to), { scheduledDelayMillis: GATHER_MS }),
    ],
  })
  const tracer = provider.getTracer('trackchain')
  return {
    begin(name, kind, parent) {
      const context = contextOf(parent)
      const span = tracer.startSpan(
        name,
        { kind: kind === 'request' ? SpanKind.SERVER : SpanKind.CONSUMER },
        context ? trace.setSpanContext(ROOT_CONTEXT, context) : ROOT_CONTEXT,
      )
      const { traceId, spanId, traceFlags } = span.spanContext()
      return {
        traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
        end(facts, fault) {
          span.setAttributes(facts)
          if (fault !== undefined)
            span.setStatus({ code: SpanStatusCode.ERROR, message: fault })
          span.end()
        },
      }
    },
    async close() {
      const late = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())
      await Promise.race([provider.shutdown().catch(() => {}), late])
    },
  }
}

/** The same bus, for what follows from a span: messages say so. */
export function tracedBus(bus: Bus, { traceparent }: Span): Bus {
  if (traceparent === undefined) return bus
  return {
    ...bus,
    publish: (topic, { data, attributes }) =>
      bus.publish(topic, { data, attributes: { ...attributes, [TRACEPARENT]: traceparent } }),
  }
}

const PARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/

function contextOf(traceparent: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] = PARENT.exec(traceparent ?? '') ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags ?? '', 16), isRemote: true }
}
