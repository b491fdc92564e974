import type { Counter, Histogram, UpDownCounter } from '@opentelemetry/api'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'

/** Edges of step durations, seconds: the budget (10 s) and the hard stop (13 s) are edges. */
const STEP_SECONDS = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 6, 8, 10, 13, 20]

/** What a service measures of itself, and how it is read. */
export interface Metrics {
  /** Wall-clock seconds of each delivery, by `step` and `verdict`. */
  readonly stepSeconds: Histogram
  /** Deliveries under way. */
  readonly running: UpDownCounter
  /** Objects created, by `store`. */
  readonly created: Counter
  /** Upstreams that are down, by `upstream`. */
  readonly upstreamsDown: UpDownCounter
  /** Wall-clock seconds of each HTTP request, by `method`, `route` and `status`. */
  readonly httpSeconds: Histogram
  /** All of it, in Prometheus' text format. */
  expose(): Promise<string>
}

export function createMetrics(service: string): Metrics {
  const reader = new PrometheusExporter({ preventServerStart: true })
  const serializer = new PrometheusSerializer('')
  const provider = new MeterProvider({ readers: [reader] })
  const meter = provider.getMeter(`trackchain-${service}`)
  return {
    stepSeconds: meter.createHistogram('trackchain.step.duration', {
      unit: 's',
      description: 'Wall-clock time of a delivery, from its start to its settlement.',
      advice: { explicitBucketBoundaries: STEP_SECONDS },
    }),
    running: meter.createUpDownCounter('trackchain.steps.running', {
      description: 'Deliveries under way.',
    }),
    upstreamsDown: meter.createUpDownCounter('trackchain.upstreams.down', {
      description: 'Upstreams that do not answer: pulling is paused.',
    }),
    httpSeconds: meter.createHistogram('trackchain.http.duration', {
      unit: 's',
      description:
        'Wall-clock time of an HTTP request, from its headers to the end of its answer.',
      advice: { explicitBucketBoundaries: STEP_SECONDS },
    }),
    created: meter.createCounter('trackchain.objects.created', {
      description: 'Objects created in a store.',
    }),
    async expose() {
      const { resourceMetrics, errors } = await reader.collect()
      if (errors.length > 0) throw new AggregateError(errors, 'metrics could not be collected')
      return serializer.serialize(resourceMetrics)
    },
  }
}
