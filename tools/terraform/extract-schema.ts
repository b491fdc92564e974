import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Attribute, Block, NestedBlock, Schema } from './schema.ts'

/**
 * Writes terraform/tests/google-schema.json: what Google's provider accepts, for the resources that terraform/ uses.
 *
 *     npm pack @cdktf/provider-google@16.12.1 && tar xf cdktf-provider-google-16.12.1.tgz
 *     node tools/terraform/extract-schema.ts package
 *
 * The package was generated from the provider's own schema. It lacks only the information which optional arguments the
 * provider fills in by itself: none counts as filled in. With access to the network, `terraform providers
 * schema -json` gives the same format first-hand.
 */
const [folder = 'package'] = process.argv.slice(2)
const USED = 'terraform/*.tf'
const TO = 'terraform/tests/google-schema.json'

/**
 * Blocks that are left out. Node pools are resources of their own here; as a block they would be a third of the file.
 */
const LEFT_OUT = ['google_container_cluster.node_pool']

/** Arguments newer than the package, from the provider's documentation, with the version that introduced them. */
const NEWER: readonly { since: string; type: string; name: string; attribute: Attribute }[] = [
  {
    since: '7.19.0',
    type: 'google_sql_user',
    name: 'database_roles',
    attribute: { type: ['list', 'string'], optional: true },
  },
]

const used = globSync(USED).map((file) => readFileSync(file, 'utf8'))
const typesUsed = (kind: string) => [
  ...new Set(
    used.flatMap((text) =>
      [...text.matchAll(new RegExp(`^${kind} "(google_\\w+)"`, 'gm'))].map(([, type]) => type),
    ),
  ),
]
const resources = typesUsed('resource').map((type) => [type, schemaOf('Resource', `${type}`)])
const data = typesUsed('data').map((type) => [type, schemaOf('DataSource', `${type}`)])
const { cdktf, name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
const schema: Schema = {
  from: `${name}@${version}`,
  provider: cdktf.provider.version,
  newer: NEWER.map(({ since, type, name }) => `${type}.${name}: ${since}`),
  resource_schemas: Object.fromEntries(resources.sort()),
  data_source_schemas: Object.fromEntries(data.sort()),
}
for (const { type, name, attribute } of NEWER) {
  const attributes = schema.resource_schemas[type]?.block.attributes
  if (attributes !== undefined) attributes[name] = attribute
}
// A line for each resource, so that a change has a readable diff.
const lines = JSON.stringify(schema).replace(/("google_\w+":\{"block")/g, '\n$1')
writeFileSync(TO, `${lines}\n`)
console.log(`${TO}: ${resources.length} resources, ${data.length} data sources`)

function schemaOf(kind: 'Resource' | 'DataSource', type: string): { block: Block } {
  const dashed = type.replace(/^google_/, '').replaceAll('_', '-')
  const files = join(folder, 'lib', kind === 'Resource' ? dashed : `data-google-${dashed}`)
  if (!existsSync(files)) throw new Error(`${folder} has no ${type}`)
  const read = (ending: string) =>
    [join(files, `index${ending}`), ...globSync(join(files, 'index-structs', `*${ending}`))]
      .map((file) => readFileSync(file, 'utf8'))
      .join('\n')
  const source = { js: read('.js'), ts: read('.d.ts') }
  const config = /export interface (\w+) extends cdktf\.TerraformMetaArguments/.exec(source.ts)
  const top = /synthesizeHclAttributes\(\) \{\s+const attrs = \{([\s\S]*?)\n {8}\};/.exec(
    source.js,
  )
  const block = blockOf(top?.[1] ?? '', config?.[1] ?? '', source)
  for (const name of Object.keys(block.block_types))
    if (LEFT_OUT.includes(`${type}.${name}`)) delete block.block_types[name]
  // Attributes that only the provider fills in have a getter, and no argument.
  const declared = new RegExp(`extends cdktf\\.Terraform${kind} \\{([\\s\\S]*)`).exec(source.ts)
  const getters = /\n {4}get (\w+)\(\): (string|number|cdktf\.IResolvable|string\[\]);/g
  for (const [, camel = '', found = ''] of (declared?.[1] ?? '').matchAll(getters)) {
    const name = snake(camel)
    if (/_input$/.test(name) || name in block.attributes || name in block.block_types) continue
    const type = found === 'cdktf.IResolvable' ? 'bool' : typeOf(found)
    block.attributes[name] = { type: type ?? 'string', computed: true }
  }
  block.attributes.id = { type: 'string', optional: true, computed: true }
  return { block }
}

interface Source {
  readonly js: string
  readonly ts: string
}

/** A block, from the code that writes it out and the interface of its arguments. */
function blockOf(body: string, interfaceName: string, source: Source): Block {
  const fields = fieldsOf(interfaceName, source.ts)
  const block: Block = { attributes: {}, block_types: {} }
  const entries =
    /(\w+): \{\s+value: ([\s\S]*?),\s+isBlock: (true|false),\s+type: "(\w+)",\s+storageClassType/g
  for (const [, name = '', value = '', isBlock, kind] of body.matchAll(entries)) {
    const field = fields.get(name)
    if (field === undefined) throw new Error(`${interfaceName} has no ${name}`)
    if (isBlock === 'true') block.block_types[name] = nested(name, value, kind, field, source)
    else {
      let type = typeOf(field.type)
      if (type === undefined) throw new Error(`${interfaceName}.${name} is ${field.type}`)
      if (Array.isArray(type) && kind === 'set') type = ['set', type[1]]
      block.attributes[name] = field.optional
        ? { type, optional: true }
        : { type, required: true }
    }
  }
  return block
}

function nested(
  name: string,
  value: string,
  kind: string | undefined,
  field: Field,
  source: Source,
): NestedBlock {
  const struct = /(\w+)ToHclTerraform/.exec(value)?.[1] ?? ''
  const writer = new RegExp(
    `function ${struct}ToHclTerraform\\(struct\\) \\{[\\s\\S]*?const attrs = \\{([\\s\\S]*?)\\n {4}\\};`,
  )
  const body = writer.exec(source.js)?.[1]
  // A block without arguments has no entries.
  const block = blockOf(body ?? '', struct.charAt(0).toUpperCase() + struct.slice(1), source)
  if (name === 'timeouts') return { nesting_mode: 'single', block }
  const isSingle = !value.includes('listMapper')
  return {
    nesting_mode: kind === 'set' ? 'set' : 'list',
    ...(field.optional ? {} : { min_items: 1 }),
    ...(isSingle ? { max_items: 1 } : {}),
    block,
  }
}

interface Field {
  readonly optional: boolean
  readonly type: string
}

/** The arguments of an interface by their names in Terraform, which its comments link to. */
function fieldsOf(name: string, ts: string): ReadonlyMap<string, Field> {
  const body = new RegExp(
    `export interface ${name}(?: extends [^{]+)? \\{([\\s\\S]*?)\\n\\}`,
  ).exec(ts)
  const fields =
    /#(\w+) \w+#\w+\}(?:(?!\*\/)[\s\S])*\*\/\s+readonly (\w+)(\?)?: (\{[^}]*\}|[^;]*);/g
  return new Map(
    [...(body?.[1] ?? '').matchAll(fields)].map(([, link = '', , optional, type = '']) => [
      link,
      { optional: optional !== undefined, type: type.replace(/\s+/g, ' ') },
    ]),
  )
}

function typeOf(declared: string): Attribute['type'] | undefined {
  const type = declared.replaceAll(' | cdktf.IResolvable', '').replace(/\((.*)\)\[\]/, '$1[]')
  const scalars: Record<string, string> = {
    string: 'string',
    number: 'number',
    boolean: 'bool',
  }
  const of = /^(\w+)\[\]$/.exec(type)?.[1]
  if (of !== undefined && scalars[of] !== undefined) return ['list', scalars[of]]
  const map = /^\{ \[key: string\]: (\w+);? \}$/.exec(type)?.[1]
  if (map !== undefined && scalars[map] !== undefined) return ['map', scalars[map]]
  return scalars[type]
}

function snake(camel: string): string {
  return camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
