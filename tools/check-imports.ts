import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CHAIN, STAGES } from '#shared/contracts/stages.ts'

/**
 * Which folder may import which, type imports included, and which exports no file imports, or tests alone although their
 * own file does not use them: what nothing else calls needs no test.
 * `node tools/check-imports.ts` prints each breach. Exit codes: 0 none; 1 there are breaches.
 */

const CONTRACTS = ['shared/async', 'shared/contracts']
const UNDERWAY = [...CONTRACTS, 'shared/underway']
const SHARED = ['shared']
/** The services that benchmarks measure parts of. */
const MEASURED = ['services/stage', 'services/analyze', 'services/publish']
const LOCAL = [...SHARED, 'tools/terminal', 'tools/local']
const CLIENT = [...LOCAL, 'tools/client']

/** The folders that a folder may import besides itself. The row of the innermost folder counts. */
const FLOORS: Readonly<Record<string, readonly string[]>> = {
  'shared/async': [],
  'shared/contracts': ['shared/async'],
  'shared/underway': CONTRACTS,
  'shared/audio': UNDERWAY,
  'shared/store': UNDERWAY,
  'shared/bus': CONTRACTS,
  'shared/frame': [...UNDERWAY, 'shared/store', 'shared/bus'],
  'shared/assets': [...UNDERWAY, 'shared/audio', 'shared/store', 'shared/frame'],
  'shared/catalogue': [...CONTRACTS, 'shared/frame'],
  'shared/jobs': [
    ...CONTRACTS,
    'shared/store',
    'shared/frame',
    'shared/assets',
    'shared/catalogue',
  ],
  ...Object.fromEntries(
    [...CHAIN, 'dispatch'].map((service) => [`services/${service}`, SHARED]),
  ),
  'tools/terminal': SHARED,
  'tools/local': [...SHARED, 'tools/terminal'],
  'tools/costs': [...SHARED, 'tools/terminal'],
  'tools/terraform': SHARED,
  'tools/docs': SHARED,
  'tools/fakes': SHARED,
  'tools/client': LOCAL,
  'tools/preflight': LOCAL,
  'tools/drill': CLIENT,
  'tools/image': CLIENT,
  'tools/bench': [...CLIENT, 'tools/preflight', 'tools/fakes', ...MEASURED],
  'tools/cli': [...CLIENT, 'tools/costs', 'tools/preflight', 'tools/drill'],
  tools: SHARED,
  k8s: [],
  test: ['shared', 'services', 'tools', 'k8s'],
}

/** The files of the one service that is composed of the steps of others, and what they may import. */
const COMPOSED: Readonly<Record<string, readonly string[]>> = {
  'services/dispatch/pod/main.ts': STAGES.map((stage) => `services/${stage}/step.ts`),
}

/**
 * The one file that may import each heavy library, so that the library is replaced in one place. Essentia is also
 * measured alone, and the libraries of the page may be imported in its folder.
 */
const IMPORTERS: Readonly<Record<string, readonly string[]>> = {
  '@google-cloud/pubsub': ['shared/bus/pubsub.ts'],
  '@google-cloud/storage': ['shared/store/gcs/gcs-store.ts'],
  '@kubernetes/client-node': ['services/dispatch/cluster/cluster.ts'],
  ajv: ['shared/contracts/validator.ts'],
  'ajv-formats': ['shared/contracts/validator.ts'],
  'essentia.js': ['services/analyze/essentia.ts', 'tools/bench/essentia-alone.ts'],
  'fluent-ffmpeg': ['shared/audio/ffmpeg.ts'],
  htm: ['services/ingest/page/'],
  jose: ['services/ingest/auth/identity.ts'],
  pg: ['shared/catalogue/database.ts'],
  pngjs: ['shared/assets/built-in/waveform/png.ts'],
}

/**
 * Folders that count as one with those in them, when circles of folders are looked for: what the folders within share
 * lies beside what is composed of them.
 */
const ONE_FOLDER = ['services/stage/formats', 'tools/local/pubsub']

/** Files whose exports are for users of the project, who define derivative assets of their own. */
const PUBLIC = ['shared/assets/definition.ts']

interface Breach {
  /** The file that imports, from the root of the project. */
  readonly file: string
  readonly sentence: string
}

/** @returns the breaches of a project whose files lie below `root` */
export function importBreaches(root: string): readonly Breach[] {
  const files = globSync('{shared,services,tools,k8s,test}/**/*.{ts,js,mjs}', { cwd: root })
    // Declaration files describe code that is not ours.
    .filter((file) => !file.endsWith('.d.ts'))
  const sources = files
    .sort()
    .map((file) => [file, readFileSync(join(root, file), 'utf8')] as const)
  const imports = new Map(sources.map(([file, source]) => [file, importsOf(file, source)]))
  const one = [...imports].flatMap(([file, all]) => {
    const floor = floorOf(file)
    if (floor === undefined)
      return [{ file, sentence: 'is in no folder of the table in tools/check-imports.ts' }]
    return all.flatMap(({ target }) => {
      const sentence = isOurs(target) ? ofFloor(file, floor, target) : ofLibrary(file, target)
      return sentence === undefined ? [] : [{ file, sentence }]
    })
  })
  return [...one, ...circles(imports), ...folderCircles(imports), ...unused(sources, imports)]
}

interface Import {
  /** The path from the root of a file of ours, or the name of a library. */
  readonly target: string
  /** The imported names; undefined: all. */
  readonly names: readonly string[] | undefined
}

/**
 * Matches an import or a re-export. Biome formats our code, so that it begins a line, and has no quotes except those of
 * the specifier.
 */
const IMPORT =
  /^\s*(?:import|export)\b([^'"`;]*?)\bfrom\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm

function importsOf(file: string, source: string): readonly Import[] {
  return [...source.matchAll(IMPORT)].map(([, clause, from, bare, dynamic]) => {
    const specifier = from ?? bare ?? dynamic ?? ''
    const target = specifier.startsWith('#shared/')
      ? specifier.slice(1)
      : specifier.startsWith('.')
        ? join(dirname(file), specifier)
        : specifier
    return { target, names: clause === undefined ? undefined : namesIn(clause) }
  })
}

/** The names in an import clause: `one` and `Two` for `{ one, type Two as Three }`; undefined for all. */
function namesIn(clause: string): readonly string[] | undefined {
  if (clause.includes('*')) return undefined
  return clause.split(/[{},]/).map(
    (part) =>
      part
        .trim()
        .replace(/^type\s+/, '')
        .split(' ')[0] ?? '',
  )
}

const EXPORT =
  /^export (?:async )?(?:const|let|function\*?|class|abstract class|interface|type) (\w+)/gm

function unused(
  sources: readonly (readonly [string, string])[],
  imports: ReadonlyMap<string, readonly Import[]>,
): readonly Breach[] {
  const all = [...imports]
  const taken = takenOf(all)
  const takenByOthers = takenOf(all.filter(([file]) => !isTest(file)))
  return sources.flatMap(([file, source]) => {
    if (PUBLIC.includes(file)) return []
    const isTakenBy = (sets: ReturnType<typeof takenOf>, name: string) => {
      const names = sets.get(file)
      return names === 'all' || names?.has(name) === true
    }
    return [...source.matchAll(EXPORT)].flatMap(([, name = '']) => {
      if (!isTakenBy(taken, name))
        return [{ file, sentence: `exports ${name}, which no file imports` }]
      if (isTest(file) || isTakenBy(takenByOthers, name) || isUsedWithin(source, name))
        return []
      return [{ file, sentence: `exports ${name}, which tests alone use` }]
    })
  })
}

/** The names that are imported of each file. */
function takenOf(imports: readonly (readonly [string, readonly Import[]])[]) {
  const taken = new Map<string, Set<string> | 'all'>()
  for (const { target, names } of imports.flatMap(([, all]) => all)) {
    const before = taken.get(target) ?? new Set()
    if (names === undefined || before === 'all') taken.set(target, 'all')
    else taken.set(target, new Set([...before, ...names]))
  }
  return taken
}

/** Whether a name occurs beside its declaration, comments aside. */
function isUsedWithin(source: string, name: string): boolean {
  const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
  return (code.match(new RegExp(`\\b${name}\\b`, 'g')) ?? []).length > 1
}

function isTest(file: string): boolean {
  return file.startsWith('test/')
}

function isOurs(path: string): boolean {
  return /^(?:shared|services|tools|k8s|test)\//.test(path)
}

function ofFloor(file: string, floor: string, target: string): string | undefined {
  if (COMPOSED[file]?.includes(target)) return undefined
  const may = [floor, ...(FLOORS[floor] ?? [])]
  // Files directly in `tools` belong to no other floor.
  const isAllowed = may.some((folder) => target.startsWith(`${folder}/`))
  const isBeside = dirname(target) === 'tools'
  if (isAllowed && (floor !== 'tools' || isBeside || !target.startsWith('tools/')))
    return undefined
  const others = (FLOORS[floor] ?? []).join(', ') || 'nothing'
  return `imports ${target}; ${floor} may import ${others} besides itself`
}

function floorOf(file: string): string | undefined {
  for (let at = dirname(file); at !== '.'; at = dirname(at)) if (FLOORS[at]) return at
  return undefined
}

function ofLibrary(file: string, specifier: string): string | undefined {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  const importers = IMPORTERS[name]
  // Tests may import a library directly.
  if (importers === undefined || isTest(file)) return undefined
  if (importers.some((each) => file === each || (each.endsWith('/') && file.startsWith(each))))
    return undefined
  return `imports ${specifier}, which ${importers[0]} alone does: use what that exports`
}

/** Import cycles, direct or through other files: their files can't be read, tested or moved one by one. */
function circles(imports: ReadonlyMap<string, readonly Import[]>): readonly Breach[] {
  const next = (file: string) =>
    (imports.get(file) ?? []).flatMap(({ target }) => (imports.has(target) ? [target] : []))
  return circlesIn(imports.keys(), next).map((circle) => ({
    file: circle[0] as string,
    sentence: `is in a circle: ${circle.join(' → ')}`,
  }))
}

/** Folders that import each other, directly or through other folders. */
function folderCircles(imports: ReadonlyMap<string, readonly Import[]>): readonly Breach[] {
  /** For each folder those that it imports, each with a file that does. */
  const folders = new Map<string, Map<string, string>>()
  for (const [file, all] of imports) {
    const folder = folderOf(file)
    const others = folders.get(folder) ?? new Map<string, string>()
    folders.set(folder, others)
    for (const { target } of all) {
      const other = folderOf(target)
      if (imports.has(target) && other !== folder && !others.has(other)) others.set(other, file)
    }
  }
  const next = (folder: string) => folders.get(folder)?.keys() ?? []
  return circlesIn(folders.keys(), next).map((circle) => {
    const [last = '', first = ''] = circle.slice(-2)
    const file = folders.get(last)?.get(first) ?? last
    return { file, sentence: `closes a circle of folders: ${circle.join(' → ')}` }
  })
}

function folderOf(file: string): string {
  const folder = dirname(file)
  return ONE_FOLDER.find((each) => folder.startsWith(`${each}/`)) ?? folder
}

/** The circles that a walk through a graph meets, each from a node back to it. */
function circlesIn(
  nodes: Iterable<string>,
  next: (node: string) => Iterable<string>,
): readonly (readonly string[])[] {
  const found: string[][] = []
  const path: string[] = []
  const done = new Set<string>()
  const walk = (node: string) => {
    const at = path.indexOf(node)
    if (at >= 0) {
      found.push([...path.slice(at), node])
      return
    }
    if (done.has(node)) return
    path.push(node)
    for (const each of next(node)) walk(each)
    path.pop()
    done.add(node)
  }
  for (const node of nodes) walk(node)
  return found
}

if (import.meta.main) {
  const breaches = importBreaches(join(import.meta.dirname, '..'))
  for (const { file, sentence } of breaches) console.error(`${file} ${sentence}`)
  if (breaches.length > 0) process.exitCode = 1
}
