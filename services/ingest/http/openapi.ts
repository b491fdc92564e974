import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { namedSchemas } from './components.ts'

/** The page loads nothing from elsewhere, and styles itself inline. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The groups of operations. */
const TAGS = {
  jobs: 'Requests for derivative assets, and their state.',
  campaigns: 'Long lists of tracks that are worked off beside everything else.',
  releases: 'The tracks of a release together.',
  masters: 'Uploads of masters.',
  tracks: 'What exists for a track, and its history.',
  'dead letters': 'Jobs and messages that failed for good.',
  numbers: 'The state of the chain, and what it has done.',
  reference: 'The available assets, the contracts of messages, the codes of problems.',
  health: 'For probes and scrapers.',
}

interface Headed {
  readonly head?: { operationId?: string }
}

/** Gathers the schemas of all routes that follow; serves them at /openapi.json, and their page at /docs. */
export async function describeApi(app: FastifyInstance, needsToken: boolean): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Trackchain',
        version: '1',
        description:
          'Turns audio masters into derivative assets. Every refusal is a problem document (RFC 9457) with a code of `/v1/errors`.',
        license: { name: 'AGPL-3.0-or-later', identifier: 'AGPL-3.0-or-later' },
      },
      // Where the document comes from.
      servers: [{ url: '/' }],
      // None is needed but where an operation says so.
      security: [],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      ...(needsToken
        ? { components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } } }
        : {}),
    },
    transformObject(document) {
      if (!('openapiObject' in document)) return document.swaggerObject
      const { openapiObject } = document
      const { paths, schemas } = namedSchemas(openapiObject.paths)
      // A HEAD may share its description with a GET; its name it must not.
      for (const { head } of Object.values(paths ?? {}) as Headed[]) {
        const [, name] = /^[a-z]+(\w+)/.exec(head?.operationId ?? '') ?? []
        if (head && name) head.operationId = `head${name}`
      }
      const components = { ...openapiObject.components, schemas }
      return Object.assign(openapiObject, { paths, components })
    },
  })
  app.addHook('onRoute', ({ schema, config }) => {
    // Each address with the scope that it needs, as OpenAPI 3.1 has roles.
    if (!needsToken || schema === undefined || config?.scope === undefined) return
    Object.assign(schema, { security: [{ token: [config.scope] }] })
  })
  app.addHook('onRoute', (route) => {
    if (!route.url.startsWith('/docs')) return
    route.config = { ...route.config, public: true, unlimited: true }
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CSP,
    uiConfig: { docExpansion: 'list', layout: 'BaseLayout', tryItOutEnabled: true },
    theme: { title: 'Trackchain API' },
  })
  app.get('/openapi.json', { schema: { hide: true }, config: { public: true } }, async () =>
    app.swagger(),
  )
}
