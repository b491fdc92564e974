import type { Upstream } from '../frame/upstreams/breaker.ts'
import { isAboutData } from './database.ts'
import type { Catalogue } from './jobs/jobs.ts'

/** Wraps a catalogue for services that write to it: its faults are reported to the upstream. */
export function watchedCatalogue(catalogue: Catalogue, upstream: Upstream): Catalogue {
  const operation = {
    probe: (signal: AbortSignal) => catalogue.ping(signal),
    isExpected: isAboutData,
  }
  const call = <T>(act: () => Promise<T>, signal?: AbortSignal) =>
    upstream.call(act, { ...operation, signal })
  return {
    ...catalogue,
    migrate: (signal) => call(() => catalogue.migrate(signal), signal),
    recordRuns: (runs, signal) => call(() => catalogue.recordRuns(runs, signal), signal),
    markAnnounced: (announced, signal) =>
      call(() => catalogue.markAnnounced(announced, signal), signal),
    recordEvents: (events, signal) =>
      call(() => catalogue.recordEvents(events, signal), signal),
    keepLetter: (letter, signal) => call(() => catalogue.keepLetter(letter, signal), signal),
    sweepJobs: (query, signal) => call(() => catalogue.sweepJobs(query, signal), signal),
  }
}
