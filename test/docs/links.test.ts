import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

const FILES = execFileSync('git', ['ls-files'], { encoding: 'utf8' })
  .split('\n')
  .filter((file) => existsSync(file) && statSync(file).isFile())
const DOCUMENTS = FILES.filter((file) => file.endsWith('.md'))
/** Files that are text and name documents. */
const NAMING = FILES.filter((file) => /\.(?:md|ts|js|mjs|sh|yaml|tf|json)$/.test(file))

t.test('every link in a document leads to a file and to a heading', async (t) => {
  for (const document of DOCUMENTS) {
    const links = readFileSync(document, 'utf8').matchAll(/\]\(([^)#\s]*)(?:#([^)\s]*))?\)/g)
    for (const [, path = '', heading] of links) {
      if (/^[a-z]+:|^\//.test(path)) continue
      const target = path === '' ? document : normalize(join(dirname(document), path))
      if (!existsSync(target)) t.fail(`${document}: ${path} does not exist`)
      else if (heading !== undefined && !headingsOf(target).includes(heading))
        t.fail(`${document}: ${target} has no heading #${heading}`)
    }
  }
})

t.test('every document that code or text names by its path is there', async (t) => {
  for (const file of NAMING) {
    for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(
      /(?<![\w./-])(docs\/[\w/-]+\.(?:md|png|svg))\b/g,
    ))
      if (!existsSync(path)) t.fail(`${file}: ${path} does not exist`)
  }
})

t.test('every file and folder of the tree that a document names is there', async (t) => {
  // The changelog names files as they were; documents of upgrades say what replaced them.
  const documents = DOCUMENTS.filter((file) => !/CHANGELOG|upgrade\.md/.test(file))
  for (const document of documents) {
    for (const [, path = ''] of readFileSync(document, 'utf8').matchAll(
      /`((?:shared|services|tools|test|k8s|terraform|docs)\/[\w./-]*)`/g,
    ))
      if (!existsSync(path) && !isGenerated(path)) t.fail(`${document}: ${path} does not exist`)
  }
})

t.test('every document is on a shelf of docs/README.md', async (t) => {
  const shelves = readFileSync('docs/README.md', 'utf8')
  for (const document of DOCUMENTS.filter((file) => /^docs\/.+\/.+\.md$/.test(file)))
    t.match(shelves, `(${document.slice('docs/'.length)})`, document)
})

t.test('every folder of a top-level folder is in the README beside it', async (t) => {
  for (const top of ['services', 'shared', 'tools', 'test']) {
    const readme = readFileSync(`${top}/README.md`, 'utf8')
    const folders = FILES.flatMap(
      (file) => new RegExp(`^${top}/([^/]+)/`).exec(file)?.[1] ?? [],
    )
    for (const folder of new Set(folders)) t.ok(readme.includes(folder), `${top}/${folder}`)
  }
})

t.test('every command of npm that a document shows is a script', async (t) => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    scripts: Record<string, string>
  }
  for (const document of DOCUMENTS) {
    for (const [, script = ''] of readFileSync(document, 'utf8').matchAll(
      /\bnpm run ([a-z][\w:-]*)/g,
    ))
      t.ok(script in scripts, `${document}: npm run ${script}`)
  }
})

/** Files that an operator makes, as the documents show. */
function isGenerated(path: string): boolean {
  return /^terraform\/(?:backend\.tf|terraform\.tfvars)$/.test(path)
}

/** @returns the anchors of a document's headings, as GitHub makes them */
function headingsOf(document: string): readonly string[] {
  const headings = readFileSync(document, 'utf8').matchAll(/^#+ (.*)$/gm)
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

t.test('the version is the same wherever it stands', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { version: string }
  t.equal(lock.version, version, 'package-lock.json')
  const [, latest] = /^## (\d+\.\d+\.\d+)/m.exec(readFileSync('CHANGELOG.md', 'utf8')) ?? []
  t.equal(latest, version, 'CHANGELOG.md')
  for (const file of NAMING.filter((each) => /^(?:docs|k8s|compose)/.test(each))) {
    const named = readFileSync(file, 'utf8').matchAll(
      /(?:trackchain:|newTag: |VERSION=)(\d[\w.]*)/g,
    )
    for (const [, tag] of named) t.equal(tag, version, file)
  }
})
