import { readFileSync } from 'node:fs'

/** An argument in the format of `terraform providers schema -json`. */
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

/** The schema of Google's provider for the resources that terraform/ uses. */
export interface Schema {
  /** The package that it was extracted from. */
  readonly from: string
  /** The provider's version that the package was generated from. */
  readonly provider: string
  /** Arguments that were added by hand, and the version of the provider that introduced them. */
  readonly newer: readonly string[]
  readonly resource_schemas: Record<string, { readonly block: Block }>
  readonly data_source_schemas: Record<string, { readonly block: Block }>
}

export function readSchema(): Schema {
  const file = new URL('../../terraform/tests/google-schema.json', import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8'))
}
