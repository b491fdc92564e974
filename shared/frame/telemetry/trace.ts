import {
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import type { Bus } from '../../bus/bus.ts'

/** The message attribute and HTTP header with the trace that a message or request belongs to, by W3C Trace Context. */
export const TRACEPARENT = 'traceparent'

/** The attributes of a span. */
type SpanFacts = Readonly<Record<string, string | number | undefined>>

/** An operation with a duration, as part of a trace. */
export interface Span {
  /** The traceparent for messages that this operation causes; undefined if it belongs to no trace. */
  readonly traceparent: string | undefined
  /** @param fault Why the operation failed; absent if it succeeded. */
  end(facts: SpanFacts, fault?: string): void
}

/** Creates the spans of a service. */
export interface Tracing {
  /** @param parent The traceparent of the message or request, from any sender. If it is invalid, a new trace begins. */
  begin(name: string, kind: 'request' | 'message', parent: string | undefined): Span
  /** Exports the spans that are still waiting. Does not throw. */
  close(): Promise<void>
}

/** Creates no spans, but passes a traceparent on, because other systems may trace what this one does not. */
export const UNTRACED: Tracing = {
  begin: (_name, _kind, parent) => ({
    traceparent: contextOf(parent) && parent,
    end() {},
  }),
  async close() {},
}

/** How long a process that ends waits for its last spans to be exported, ms. */
const CLOSE_MS = 1000
/** Spans are collected into a batch for this long, ms. */
const GATHER_MS = 1000

/**
 * Tracing by OpenTelemetry's SDK, which is loaded only if it is used.
 * @param to A file:/// URI, which gets a line of OTLP-JSON for each batch; the http(s) URL of an OTLP receiver; or an
 * empty text for no tracing.
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

/** Wraps a bus so that its messages carry the span's traceparent. */
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
