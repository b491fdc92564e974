import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

/** The page loads nothing from elsewhere, and styles itself inline. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

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
      tags: [
        'jobs',
        'masters',
        'tracks',
        'dead letters',
        'numbers',
        'what there is',
        'health',
      ].map((name) => ({ name })),
      ...(needsToken
        ? { components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } } }
        : {}),
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
