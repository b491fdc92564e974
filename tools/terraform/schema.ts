import { readFileSync } from 'node:fs'

/** An argument, as `terraform providers schema -json` has it. */
export interface Attribute {
  /** `string`, `number`, `bool`, or a collection of them: `["list", "string"]`. */
  readonly type: string | readonly [string, unknown]
  readonly required?: true
  readonly optional?: true
  readonly computed?: true
}

export interface NestedBlock {
  readonly nesting_mode: 'single' | 'list' | 'set'
  readonly min_items?: number
  readonly max_items?: number
  readonly block: Block
}

export interface Block {
  readonly attributes: Record<string, Attribute>
  readonly block_types: Record<string, NestedBlock>
}

/** What Google's provider accepts, for the resources that terraform/ uses. */
export interface Schema {
  /** The package that it was taken from. */
  readonly from: string
  /** The provider's version that the package was generated from. */
  readonly provider: string
  /** Arguments that were added by hand, and since when the provider has them. */
  readonly newer: readonly string[]
  readonly resource_schemas: Record<string, { readonly block: Block }>
  readonly data_source_schemas: Record<string, { readonly block: Block }>
}

export function readSchema(): Schema {
  const file = new URL('../../terraform/tests/google-schema.json', import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8'))
}
