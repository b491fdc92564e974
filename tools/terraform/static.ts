import { globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import type { Arguments, Declared } from './declared.ts'
import { policyFaults } from './policies.ts'
import type { Attribute, Block, Schema } from './schema.ts'

/** Required instead of imported: its types would add those of a browser to the whole project. */
const { parse } = createRequire(import.meta.url)('@cdktn/hcl2json') as {
  parse(name: string, text: string): Promise<Readonly<Record<string, unknown>>>
}

/** Meta-arguments that every resource and data source may have besides its provider's arguments. */
const META = ['for_each', 'count', 'provider', 'depends_on', 'lifecycle', 'dynamic']

/**
 * The faults of a folder's .tf files that can be found without the terraform CLI: names, kinds and literal types of
 * arguments are checked against the provider's schema, and the rules of policies.ts are applied. The values of
 * expressions are known to terraform only.
 */
export async function staticFaults(folder: string, schema: Schema): Promise<readonly string[]> {
  const faults: string[] = []
  const all: Declared[] = []
  for (const path of globSync(join(folder, '*.tf')).sort()) {
    let parsed: Readonly<Record<string, unknown>>
    try {
      parsed = await parse(basename(path), readFileSync(path, 'utf8'))
    } catch (error) {
      faults.push(`${basename(path)}: ${(error as Error).message}`)
      continue
    }
    for (const declared of declaredIn(parsed)) {
      all.push(declared)
      const isData = declared.address.startsWith('data.')
      const schemas = isData ? schema.data_source_schemas : schema.resource_schemas
      const known = schemas[declared.type]
      if (known === undefined) faults.push(`${declared.address}: not in google-schema.json`)
      else faults.push(...blockFaults(known.block, declared.arguments, declared.address, META))
    }
  }
  if (all.length === 0) faults.push(`${folder} declares nothing`)
  return [...faults, ...policyFaults(folder, all)]
}

function* declaredIn(parsed: Readonly<Record<string, unknown>>): Generator<Declared> {
  for (const kind of ['resource', 'data']) {
    const types = (parsed[kind] ?? {}) as Record<string, Record<string, Arguments[]>>
    for (const [type, names] of Object.entries(types))
      for (const [name, blocks] of Object.entries(names))
        for (const block of blocks) {
          const address = `${kind === 'data' ? 'data.' : ''}${type}.${name}`
          yield { address, type, name, arguments: block }
        }
  }
}

function blockFaults(
  block: Block,
  given: Arguments,
  at: string,
  meta: readonly string[] = ['dynamic'],
): string[] {
  const faults: string[] = []
  const dynamic = (given.dynamic ?? {}) as Record<string, { content?: Arguments[] }[]>
  const blocks: Record<string, readonly Arguments[]> = {}
  for (const [name, value] of Object.entries(given)) {
    if (meta.includes(name)) continue
    const attribute = block.attributes[name]
    if (attribute !== undefined)
      faults.push(...attributeFaults(attribute, value, `${at}.${name}`))
    else if (block.block_types[name] === undefined) faults.push(`${at}.${name}: unknown`)
    else if (!Array.isArray(value)) faults.push(`${at}.${name}: a block, not an argument`)
    else blocks[name] = value
  }
  for (const [name, each] of Object.entries(dynamic)) {
    if (block.block_types[name] === undefined) faults.push(`${at}.${name}: unknown block`)
    else blocks[name] = each.flatMap(({ content }) => content ?? [])
  }
  for (const [name, { block: inner, min_items = 0, max_items }] of Object.entries(
    block.block_types,
  )) {
    const found = blocks[name] ?? []
    if (found.length < min_items) faults.push(`${at}: no ${name} { … }`)
    if (max_items !== undefined && found.length > max_items)
      faults.push(`${at}.${name}: too many`)
    for (const one of found) faults.push(...blockFaults(inner, one, `${at}.${name}`))
  }
  for (const [name, { required }] of Object.entries(block.attributes))
    if (required && !(name in given)) faults.push(`${at}: no ${name}`)
  return faults
}

function attributeFaults(attribute: Attribute, value: unknown, at: string): string[] {
  if (!attribute.required && !attribute.optional) return [`${at}: only the provider sets it`]
  if (typeof value === 'string' && value.includes('${')) return []
  const { type } = attribute
  const kind = typeof type === 'string' ? type : type[0]
  const fits: Record<string, boolean> = {
    string: typeof value !== 'object',
    number: Number.isFinite(Number(value)),
    bool: typeof value === 'boolean' || value === 'true' || value === 'false',
    list: Array.isArray(value),
    set: Array.isArray(value),
    map: typeof value === 'object' && !Array.isArray(value),
  }
  return fits[kind] === false ? [`${at}: ${JSON.stringify(value)} is no ${kind}`] : []
}
