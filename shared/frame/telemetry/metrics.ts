import type {
  Attributes,
  Counter,
  Histogram,
  MetricOptions,
  UpDownCounter,
} from '@opentelemetry/api'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { CoreTime } from './cpu-time.ts'

/** Bucket edges of step durations, s. They include the budget (10 s), the hard limit (13 s) and Spot's grace (15 s). */
const STEP_SECONDS = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 6, 8, 10, 13, 15, 20]
/** Bucket edges of HTTP durations, s, by OpenTelemetry's semantic conventions. */
const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/**
 * The metrics of a service; docs/reference/numbers.md explains each. Labels are steps, verdicts, assets, stores,
 * upstreams and routes of the API, and never anything of unbounded cardinality.
 */
export interface Metrics {
  /** Assets whose rows `publish` has committed as made, by `asset`. Each counts once, even if it is redelivered. */
  readonly completions: Counter
  /** Verdicts `failed` that `publish` has committed, by `asset`. Each counts once. */
  readonly failures: Counter
  /** Deliveries that are being worked on, by `step`: the concurrency. */
  readonly running: UpDownCounter
  /** Things that were no longer needed and have been removed, by `step`: scratch of runs and, for `dispatch`, pods. */
  readonly collected: Counter
  /** Deliveries that were given back, by `step`. */
  readonly requeued: Counter
  /** Events that were committed, by `step` and `verdict`. Each counts once. */
  readonly recorded: Counter
  /** Dead letters that were kept, by `step`. Each counts once. */
  readonly deadLetters: Counter
  /** Jobs that the watchdog has published again. */
  readonly swept: Counter
  /** Wall-clock seconds of each delivery, by `step` and `verdict`. */
  readonly stepSeconds: Histogram
  /** Core-seconds of deliveries, children and workers included, by `step`. */
  readonly coreSeconds: Counter
  /** Measures the core time of deliveries for `coreSeconds`. */
  readonly coreTime: CoreTime
  /** Objects created, by `store`. */
  readonly created: Counter
  /** Upstreams that are down, by `upstream`. */
  readonly upstreamsDown: UpDownCounter
  /** Wall-clock seconds of each HTTP request, by method, route and status. */
  readonly httpSeconds: Histogram
  /** Returns all metrics in Prometheus' text format. */
  expose(): Promise<string>
}

/** Creates the metrics of a service. */
export function createMetrics(service: string): Metrics {
  const reader = new PrometheusExporter({ preventServerStart: true })
  // No timestamps, no target_info and no scope labels: Prometheus adds its own labels to what it scrapes.
  const serializer = new PrometheusSerializer('', false, undefined, true, true)
  const meter = new MeterProvider({ readers: [reader] }).getMeter(`trackchain-${service}`)
  const counter = (name: string, unit: string, description: string) =>
    meter.createCounter(`trackchain.${name}`, { unit, description })
  const gauge = (name: string, unit: string, description: string) =>
    meter.createUpDownCounter(`trackchain.${name}`, { unit, description })
  const seconds = (name: string, edges: number[], description: string) => {
    const advice: MetricOptions['advice'] = { explicitBucketBoundaries: edges }
    return meter.createHistogram(name, { unit: 's', description, advice })
  }
  return {
    completions: counter('completions', '{asset}', 'Assets made: rows committed, each once.'),
    failures: counter('failures', '{asset}', 'Assets failed: verdicts committed, each once.'),
    running: gauge('steps.running', '{step}', 'Deliveries under way.'),
    collected: counter('collected', '{thing}', 'Scratch and pods that were removed.'),
    requeued: counter('requeued', '{message}', 'Deliveries that were given back.'),
    recorded: counter('recorded', '{event}', 'Events committed, each once.'),
    deadLetters: counter('dead_letters', '{letter}', 'Dead letters kept, each once.'),
    swept: counter('swept', '{job}', 'Jobs that the watchdog has published again.'),
    stepSeconds: seconds(
      'trackchain.step.duration',
      STEP_SECONDS,
      'Wall-clock time of a delivery, from its start to its settlement.',
    ),
    coreSeconds: counter(
      'step.cpu.time',
      's',
      'Core-seconds of deliveries, children and workers included.',
    ),
    coreTime: new CoreTime(),
    created: counter('objects.created', '{object}', 'Objects created in a store.'),
    upstreamsDown: gauge(
      'upstreams.down',
      '{upstream}',
      'Upstreams that do not answer: pulling is paused.',
    ),
    httpSeconds: seconds(
      'http.server.request.duration',
      HTTP_SECONDS,
      'Wall-clock time of an HTTP request, from its headers to the end of its answer.',
    ),
    async expose() {
      const { resourceMetrics, errors } = await reader.collect()
      if (errors.length > 0) throw new AggregateError(errors, 'metrics could not be collected')
      return serializer.serialize(withUnits(resourceMetrics))
    },
  }
}

/** Exposes instruments at 0 before their first use, so that a dashboard can distinguish "none" from "unknown". */
export function atZero(instrument: Counter | UpDownCounter, each: readonly Attributes[]): void {
  for (const attributes of each) instrument.add(0, attributes)
}

type Collected = Parameters<PrometheusSerializer['serialize']>[0]

/** Appends the unit to names, as OpenTelemetry's mapping to Prometheus specifies. The serializer does not do it. */
function withUnits({ scopeMetrics, ...rest }: Collected): Collected {
  return {
    ...rest,
    scopeMetrics: scopeMetrics.map(({ metrics, ...scope }) => ({
      ...scope,
      metrics: metrics.map((metric) => {
        const { descriptor } = metric
        if (descriptor.unit !== 's') return metric
        return { ...metric, descriptor: { ...descriptor, name: `${descriptor.name}_seconds` } }
      }),
    })),
  }
}
