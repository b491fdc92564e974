import t from 'tap'
import { CANNOT_BUILD, type KubeObject, nameOf, OVERLAYS, objectsOf } from './overlays.ts'
import { fieldFaults } from './strict-fields.ts'

if (CANNOT_BUILD !== undefined) t.plan(0, CANNOT_BUILD)
else {
  /** Fields below which any key is allowed. */
  const FREE = new Set([
    ...['labels', 'annotations', 'matchLabels', 'nodeSelector', 'selector', 'data'],
    ...['requests', 'limits', 'capacity'],
  ])

  for (const overlay of OVERLAYS) {
    const objects = objectsOf(overlay)
    t.test(`${overlay}: every field of every object is known, and of its type`, async (t) => {
      t.ok(objects.length > 20)
      for (const object of objects) t.same(fieldFaults(object), [], nameOf(object))
    })

    t.test(`${overlay}: each misspelt field is reported`, async (t) => {
      let planted = 0
      for (const object of objects) {
        const copy = structuredClone(object)
        for (const path of fieldsOf(object)) {
          const parent = path.slice(0, -1).reduce<never>(within, copy as never) as Tree
          const name = path.at(-1) as string
          const { [name]: value } = parent
          delete parent[name]
          parent[`${name}x`] = value
          planted++
          if (fieldFaults(copy).length === 0) t.fail(`${nameOf(object)} ${path.join('.')}`)
          delete parent[`${name}x`]
          parent[name] = value
        }
      }
      t.ok(planted > 500, `${planted} fields`)
    })
  }

  t.test(
    'a field that is missing, or of another type, is reported with its path',
    async (t) => {
      const encode = objectsOf('onprem').find(
        ({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'encode',
      ) as KubeObject
      const planted = JSON.parse(
        JSON.stringify(encode)
          .replace('"terminationGracePeriodSeconds":15', '"terminationGracePeriodSeconds":"15"')
          .replace('"periodSeconds":5', '"periodSeconds":5.5')
          .replace('"readOnlyRootFilesystem":true', '"readOnlyRootFilesystem":"true"')
          .replace('"image":', '"imagePullPolicy":"Always","volumeDevices":{},"image":')
          .replace('"mountPath":"/masters",', ''),
      )
      t.same(fieldFaults(planted).sort(), [
        'Deployment.spec.template.spec.containers[0].readinessProbe.periodSeconds: a whole number is expected',
        'Deployment.spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem: a boolean is expected',
        'Deployment.spec.template.spec.containers[0].volumeDevices: a list is expected',
        'Deployment.spec.template.spec.containers[0].volumeMounts[2].mountPath: is missing',
        'Deployment.spec.template.spec.terminationGracePeriodSeconds: a whole number is expected',
      ])
      t.same(fieldFaults({ ...encode, apiVersion: 'apps/v1beta1' }), [
        'Deployment: no such kind in apps/v1beta1',
      ])
    },
  )

  interface Tree {
    [name: string]: unknown
  }

  function within(tree: Tree, name: string): never {
    return tree[name] as never
  }

  /** The paths of all fields whose names the API server checks, list items included. */
  function fieldsOf(value: unknown, path: readonly string[] = []): string[][] {
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([name, inner]) => {
      const here = [...path, name]
      const own = Array.isArray(value) ? [] : [here]
      // A LabelSelector is also called selector, but has fields.
      const isFree = FREE.has(name) && !(name === 'selector' && isLabelSelector(inner))
      return [...own, ...(isFree ? [] : fieldsOf(inner, here))]
    })
  }

  function isLabelSelector(value: unknown): boolean {
    return typeof value === 'object' && value !== null && 'matchLabels' in value
  }
}
