import { type Static, Type } from 'typebox'

export const Route = Type.Object(
  {
    /** Where the masters of this route are when a job does not say: `{asset_guid}`, `{asset_id}`, `{release_id}` are filled in. */
    templates: Type.Array(Type.String({ pattern: '^(gs://[^{}/]+/|file:///[^{}/]+/)' }), {
      default: [],
    }),
    /** Folders or buckets that a job's `master_uri` may point into. */
    prefixes: Type.Array(Type.String({ pattern: '^(gs|file)://' }), { default: [] }),
    /** How much slower than the reference core this site is: its parts are that much shorter. */
    factor: Type.Number({ default: 1, minimum: 0.1, maximum: 20 }),
  },
  { additionalProperties: false },
)
export type Route = Static<typeof Route>

/** All that masters of a route may be read from: its prefixes, and the folders of its templates. */
export function masterPrefixes({ prefixes, templates }: Route): readonly string[] {
  return [...prefixes, ...templates.map(folderOf)]
}

/** The part of a template that no job can change. */
function folderOf(template: string): string {
  const fixed = template.slice(0, template.indexOf('{') >>> 0)
  return fixed.slice(0, fixed.lastIndexOf('/') + 1)
}

/** The template with the job's ids in it; undefined when the job lacks one of them. */
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
