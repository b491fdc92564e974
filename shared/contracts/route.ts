import { type Static, Type } from 'typebox'
import { STORE_URI_START } from './store-uri.ts'

export const Route = Type.Object(
  {
    templates: Type.Array(Type.String({ pattern: `^${STORE_URI_START}[^{}/]*/` }), {
      default: [],
      description:
        'URIs of masters for jobs without a `master_uri`: `{asset_guid}`, `{asset_id}`, `{release_id}` are filled in.',
    }),
    prefixes: Type.Array(Type.String({ pattern: `^${STORE_URI_START}` }), {
      default: [],
      description: "Folders or buckets that a job's `master_uri` may point into.",
    }),
    core_slowdown: Type.Number({
      default: 1,
      minimum: 0.1,
      maximum: 20,
      description:
        'How many times slower than the reference a core of this site is. Its parts are that many times shorter.',
    }),
  },
  { additionalProperties: false },
)
export type Route = Static<typeof Route>

/** The prefixes below which masters of a route may be read: its own, and the folders of its templates. */
export function masterPrefixes({ prefixes, templates }: Route): readonly string[] {
  return [...prefixes, ...templates.map(folderOf)]
}

/** The part of a template before the first placeholder, which no job can change. */
function folderOf(template: string): string {
  const fixed = template.slice(0, template.indexOf('{') >>> 0)
  return fixed.slice(0, fixed.lastIndexOf('/') + 1)
}

/** Fills a job's ids into a template; undefined if the job lacks one of them. */
export function fillTemplate(
  template: string,
  ids: { asset_guid?: string; asset_id?: number; release_id?: number },
): string | undefined {
  let isComplete = true
  const uri = template.replace(/\{(asset_guid|asset_id|release_id)\}/g, (_, name) => {
    const value = ids[name as keyof typeof ids]
    if (value === undefined) isComplete = false
    return String(value)
  })
  return isComplete ? uri : undefined
}
