import { globSync } from 'node:fs'
import { join } from 'node:path'
import type { Mutant } from './mutant.ts'

/** Every mutant of `list/`, where each file exports those of one area. */
export async function allMutants(): Promise<readonly Mutant[]> {
  const files = globSync(join(import.meta.dirname, 'list', '*.ts')).sort()
  const lists = await Promise.all(
    files.map(async (file) => (await import(file)).default as readonly Mutant[]),
  )
  return lists.flat()
}
