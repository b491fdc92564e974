import { existsSync, readFileSync } from 'node:fs'
import { CORE_SCHEMA, load, mergeTag } from 'js-yaml'
import t from 'tap'
import { readConfig } from '#shared/frame/config.ts'

interface Instruction {
  readonly name: string
  readonly rest: string
}

/** The Dockerfile's instructions by stage, with continued lines joined and without comments. */
function stagesOf(dockerfile: string): Instruction[][] {
  const lines = dockerfile
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '')
  const stages: Instruction[][] = [[]]
  for (const line of lines) {
    const [, name = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
    if (name === 'FROM') stages.push([])
    stages.at(-1)?.push({ name, rest })
  }
  return stages
}

/** The faults of a Dockerfile. */
function dockerfileFaults(dockerfile: string): string[] {
  const [before = [], ...stages] = stagesOf(dockerfile)
  const last = stages.at(-1) ?? []
  const of = (name: string) => last.filter((each) => each.name === name).map(({ rest }) => rest)
  const run = of('RUN').join('\n')
  const labels = of('LABEL').join(' ')
  const bases = before.filter(({ name }) => name === 'ARG').map(({ rest }) => rest)
  const checks: Readonly<Record<string, boolean>> = {
    'two stages, whose bases have a version': stages.length === 2 && bases.length === 2,
    'no base is whatever is newest': bases.every(
      (base) => /:[\w.-]+$/.test(base) && !/:latest$/.test(base),
    ),
    'runs as a number, as the manifests do': of('USER').at(-1) === '10001:10001',
    'nothing is copied or run after that': ['RUN', 'COPY'].every(
      (name) =>
        last.findLastIndex((each) => each.name === name) <
        last.findIndex((each) => each.name === 'USER'),
    ),
    'the service is the argument': of('ENTRYPOINT').at(-1) === '["/usr/local/bin/node"]',
    'packages of the lockfile alone, without those for development':
      /npm ci --omit=dev --omit=optional --ignore-scripts/.test(
        stages[0]?.map(({ rest }) => rest).join('\n') ?? '',
      ),
    'security updates': /apt-get upgrade/.test(run),
    'no recommendations, no build tools':
      /--no-install-recommends/.test(run) &&
      !/gcc|g\+\+|make|build-essential|python|curl|wget|git/.test(run),
    'nothing is fetched from elsewhere': of('ADD').length === 0,
    'everything copied is there': of('COPY')
      .filter((rest) => !rest.startsWith('--from'))
      .flatMap((rest) => rest.split(' ').slice(0, -1))
      .every((path) => existsSync(path)),
    'says what it is': ['title', 'version', 'revision', 'licenses'].every((label) =>
      labels.includes(`org.opencontainers.image.${label}=`),
    ),
    'has a list of its packages':
      /npm sbom/.test(dockerfile) && of('COPY').some((rest) => rest.includes('sbom.cdx.json')),
  }
  return Object.keys(checks).filter((title) => !checks[title])
}

t.test('the Dockerfile keeps to the rules', async (t) => {
  const dockerfile = readFileSync('Dockerfile', 'utf8')
  t.same(dockerfileFaults(dockerfile), [])
  const breaches: readonly (readonly [string, string])[] = [
    ['node:24-bookworm-slim', 'node:latest'],
    ['USER 10001:10001\n', ''],
    ['USER 10001:10001\n', 'USER 10001:10001\nRUN true\n'],
    ['--omit=dev ', ''],
    [' && DEBIAN_FRONTEND=noninteractive apt-get upgrade -qy \\\n', ''],
    ['ffmpeg \\', 'ffmpeg build-essential \\'],
    ['COPY shared shared', 'ADD https://example.com/shared.tar shared'],
    ['COPY shared shared', 'COPY shade shared'],
    ['ENTRYPOINT ["/usr/local/bin/node"]', 'CMD ["node"]'],
    ['org.opencontainers.image.revision', 'revision'],
    ['COPY --from=packages /app/sbom.cdx.json ./\n', ''],
  ]
  for (const [from, to] of breaches) {
    t.ok(dockerfile.includes(from), from)
    t.not(
      dockerfileFaults(dockerfile.replace(from, to)).length,
      0,
      `with ${to || `no ${from}`}`,
    )
  }
})

t.test('only named files get into the build context', async (t) => {
  const [first, ...others] = readFileSync('.dockerignore', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  t.equal(first, '*')
  for (const line of others.filter((each) => each.startsWith('!'))) {
    t.ok(existsSync(line.slice(1)), line)
  }
})

t.test('compose.yaml starts existing services, with known settings', async (t) => {
  const { services } = load(readFileSync('compose.yaml', 'utf8'), {
    schema: CORE_SCHEMA.withTags(mergeTag),
  }) as {
    services: Record<
      string,
      { image: string; command?: string[]; environment?: Record<string, string> }
    >
  }
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const name of ['ingest', 'stage', 'analyze', 'encode', 'publish']) {
    const { command, environment = {}, image } = services[name] ?? { image: '' }
    t.equal(image, `trackchain:${version}`)
    t.ok(existsSync(command?.[0] ?? ''), `${name}: ${command}`)
    const tokens = JSON.stringify(['0'.repeat(64)])
    const isDoor = 'TRACKCHAIN_TOKENS' in environment
    t.ok(readConfig({ ...environment, ...(isDoor && { TRACKCHAIN_TOKENS: tokens }) }), name)
    const asksForCancellations = !['ingest', 'publish'].includes(name)
    t.equal('TRACKCHAIN_INGEST' in environment, asksForCancellations, name)
  }
  for (const { image } of Object.values(services)) t.match(image, /:(?!latest$)[\w.-]+$/)
})

t.test('the overlays use the image of this version', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const overlay of ['gke', 'onprem']) {
    const text = readFileSync(`k8s/overlays/${overlay}/kustomization.yaml`, 'utf8')
    const { images } = load(text, { schema: CORE_SCHEMA.withTags(mergeTag) }) as {
      images: { name: string; newTag: string }[]
    }
    t.match(images, [{ name: 'trackchain', newTag: version }], overlay)
  }
})
