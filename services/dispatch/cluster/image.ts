import type { Pod } from './cluster.ts'

/** The container of the dispatcher's own pod, as k8s/base calls it. */
const OWN = 'service'

/**
 * The template with the image of the pod that this process is in, unless it names one: what a pod runs is then
 * upgraded with its dispatcher.
 * @param own looks at the pod of this process
 * @throws Error when there is no image to be had.
 */
export async function withImage(
  template: Pod,
  own: () => Promise<Pod | undefined>,
): Promise<Pod> {
  const [container, ...others] = template.spec?.containers ?? []
  if (container === undefined)
    throw new Error('TRACKCHAIN_POD_TEMPLATE: spec.containers is missing')
  if (container.image !== undefined) return template
  const image = (await own())?.spec?.containers.find(({ name }) => name === OWN)?.image
  if (image === undefined) {
    const why = `this process is in no pod of the cluster with a container ${OWN}`
    throw new Error(`TRACKCHAIN_POD_TEMPLATE: spec.containers[0].image is missing, and ${why}`)
  }
  const containers = [{ ...container, image }, ...others]
  return { ...template, spec: { ...template.spec, containers } }
}
