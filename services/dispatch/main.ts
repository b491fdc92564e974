import { hostname } from 'node:os'
import { configuredRegistry } from '#shared/assets/registry.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { LANES } from '#shared/contracts/lanes.ts'
import { stageTopic } from '#shared/contracts/topology.ts'
import { configEnv, configFor } from '#shared/frame/config.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { sweepHourly } from '#shared/frame/hourly-sweep.ts'
import { service } from '#shared/frame/service.ts'
import { checkedTemplate, openCluster } from './cluster/cluster.ts'
import { withImage } from './cluster/image.ts'
import { podsOf } from './cluster/pod-spec.ts'
import { Pods } from './cluster/pods.ts'
import { retryCluster } from './cluster/retry-cluster.ts'
import { collectOnce } from './collect.ts'
import { dispatchStep } from './dispatcher.ts'
import { lengthEstimator } from './estimate-length.ts'

/**
 * Maximum time that one delivery waits for its pod, ms. After that the message is redelivered, and the next
 * delivery finds the pod by its name.
 */
const WAIT_MS = 6 * 3600_000
const COLLECT_EVERY_MS = 60_000

await service('dispatch', async (service) => {
  const { assets, breaker, bus, closeFirst, config, events, lifecycle, log, metrics, scratch } =
    service
  const { locate, tracing, uploads } = service
  const registry = await configuredRegistry(config)
  const written = checkedTemplate(config.pod_template)
  const { route } = config
  const env = configEnv(configFor('pod', config))
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
  // Not awaited: a request to an API server that does not answer must not delay the exit.
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
    // The host name of a pod is the name of the pod.
    return retryCluster(() => cluster.read(hostname()), { signal: stopping, log })
  })
  const step = dispatchStep({
    cluster,
    pods,
    registry,
    log,
    settings: { template, env },
    coreSlowdown: config.routes[route]?.core_slowdown ?? 1,
    measure: lengthEstimator({ locate, uploads }),
  })
  // Deliveries that wait for pods are aborted as soon as the process stops: the next dispatcher finds the pods
  // by name.
  const cancellations = service.cancellations()
  const tools = { bus, breaker, events, assets, scratch, log, metrics, tracing }
  const deps = { ...tools, cancellations, stopping }
  const handler = delivering(step, { ...deps, aborting: stopping, hardLimitMs: WAIT_MS })
  // Until the pods are listed, it is unknown whether there is room for another one.
  await pods.listed
  for (const lane of LANES) {
    const subscription = stageTopic('stage', route, lane)
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
  }
})
