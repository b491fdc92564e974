import type { Pod } from './cluster.ts'

/** The name in k8s/base of the container in the dispatcher's own pod. */
const OWN = 'service'

/**
 * Returns the template with the image of the dispatcher's own pod, unless the template names one. The pods of
 * tracks are then upgraded together with their dispatcher.
 * @param own reads the pod of this process
 * @throws Error when no image can be found
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
