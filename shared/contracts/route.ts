import type { Config } from '../frame/config.ts'

type Route = Config['routes'][string]

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
