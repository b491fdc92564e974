import { hostname } from 'node:os'
import { loadRegistry } from '#shared/assets/registry.ts'
import { sentence } from '#shared/contracts/errors/chain.ts'
import { stageTopic } from '#shared/contracts/topology.ts'
import { configEnv } from '#shared/frame/config.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { sweepHourly } from '#shared/frame/hourly-sweep.ts'
import { service } from '#shared/frame/service.ts'
import { checkedTemplate, openCluster } from './cluster/cluster.ts'
import { withImage } from './cluster/image.ts'
import { persistently } from './cluster/persist.ts'
import { podsOf } from './cluster/pod-spec.ts'
import { Pods } from './cluster/pods.ts'
import { collectOnce } from './collect.ts'
import { dispatchStep } from './dispatcher.ts'
import { measuring } from './estimate-length.ts'

/** How long a pod is waited for in one go, ms: after that its message comes again and finds it by its name. */
const WAIT_MS = 6 * 3600_000
const COLLECT_EVERY_MS = 60_000

await service('dispatch', async (service) => {
  const { assets, breaker, bus, closeFirst, config, events, lifecycle, log, metrics, scratch } =
    service
  const { locate, tracing, uploads } = service
  const registry = await loadRegistry(config.derivatives)
  const written = checkedTemplate(config.pod_template)
  const { project, pubsub, storage, route, routes, derivatives, target_ms } = config
  const { master_wait, max_hours, max_channels, max_rate, strict, log_level, traces } = config
  // No database among them: a pod needs none.
  const env = configEnv({
    ...{ project, pubsub, storage, route, routes, derivatives, target_ms, master_wait },
    ...{ max_hours, max_channels, max_rate, strict, log_level, traces },
    ...{ assets: config.assets, scratch: config.scratch, uploads: config.uploads },
  })
  const opened = openCluster()
  const api = breaker.upstream('cluster')
  const list = (labels: string) => opened.list(labels)
  const cluster = {
    ...opened,
    list: (labels: string) => api.call(() => list(labels), { probe: () => list(labels) }),
  }
  const { server, namespace } = cluster
  log.info({ server, namespace, most: config.max_pods }, 'pods')
  const pods = new Pods(cluster, podsOf(route), config.max_pods, log)
  // Nobody waits for its end: what it asks an API server that does not answer must not hold up ours.
  void pods.follow(lifecycle.stopping)

  const collecting = setInterval(() => {
    collectOnce({ cluster, pods, events, route, metrics }).catch((error) =>
      log.warn({ error: sentence(error) }, 'pods could not be collected'),
    )
  }, COLLECT_EVERY_MS)
  lifecycle.onClose('collection', async () => clearInterval(collecting))
  sweepHourly(service)

  const { stopping } = lifecycle
  const template = await withImage(written, async () => {
    await pods.listed
    // A pod's host is called as the pod.
    return persistently(() => cluster.read(hostname()), { signal: stopping, log })
  })
  const step = dispatchStep({
    ...{ cluster, pods, registry, log, settings: { template, env } },
    factor: config.routes[route]?.factor ?? 1,
    measure: measuring({ locate, uploads }),
  })
  const subscription = stageTopic('stage', route)
  // What waits for pods holds nothing up: another dispatcher, or this one when it is back, finds them by name.
  const deps = { bus, breaker, events, assets, scratch, log, metrics, tracing, stopping }
  const handler = delivering(step, { ...deps, aborting: stopping, hardLimitMs: WAIT_MS })
  // Who does not know which pods there are can't know whether there is room.
  await pods.listed
  closeFirst(
    bus.subscribe(
      subscription,
      {
        concurrency: config.max_pods,
        longestMs: WAIT_MS,
        onError: (error) => log.warn({ err: error, subscription }, 'the link to Pub/Sub'),
      },
      handler,
    ),
  )
})
