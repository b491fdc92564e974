import { existsSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { allMutants } from './all-mutants.ts'
import { mutated } from './mutant.ts'

const ROOT = join(import.meta.dirname, '..', '..')

// `npm run mutants` tries them, which takes long. This test only checks that each still fits the source.
t.test('each mutant of the list fits the source, and its tests are there', async (t) => {
  const mutants = await allMutants()
  t.ok(mutants.length >= 300, `${mutants.length} mutants`)
  for (const mutant of mutants) {
    const { file, breaks, tests } = mutant
    const source = readFileSync(join(ROOT, file), 'utf8')
    t.doesNotThrow(() => stripTypeScriptTypes(mutated(source, mutant)), `${file}: ${breaks}`)
    t.ok(tests.length > 0, `${file}: ${breaks}: somebody has to notice`)
    for (const test of tests) t.ok(existsSync(join(ROOT, test)), test)
  }
  const names = mutants.map(({ file, breaks }) => `${file}: ${breaks}`)
  t.equal(new Set(names).size, names.length, 'each has a name of its own')
})

t.test('a list that no longer fits is found out', async (t) => {
  const mutant = { file: 'a.ts', breaks: 'it', from: 'x + 1', to: 'x', tests: [] }
  t.equal(mutated('y = x + 1', mutant), 'y = x')
  t.throws(() => mutated('y = x + 2', mutant), /has this 0 times/)
  t.throws(() => mutated('y = x + 1 + x + 1', mutant), /has this 2 times/)
  t.throws(() => mutated('y = x + 1', { ...mutant, to: 'x + 1' }), /nothing is changed/)
  t.equal(mutated('y = x + 1', { ...mutant, to: '$&' }), 'y = $&')
})
