import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Registry } from '#shared/assets/registry.ts'
import {
  Derivatives,
  ErrorExplained,
  ErrorList,
  MessageSchema,
  MessageSchemas,
} from '#shared/contracts/api/reference.ts'
import { CAMPAIGN_ERRORS } from '#shared/contracts/errors/campaign.ts'
import { CHAIN_ERRORS } from '#shared/contracts/errors/chain.ts'
import { HTTP_ERRORS, HttpError } from '#shared/contracts/errors/http.ts'
import type { Contract } from '#shared/contracts/message.ts'
import { Callback } from '#shared/contracts/messages/callback.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { Events } from '#shared/contracts/messages/event.ts'
import { Published } from '#shared/contracts/messages/published.ts'
import { RunAccepted, RunEnded, StepDue } from '#shared/contracts/messages/run.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const CONTRACTS: readonly Contract<unknown>[] = [
  EncodeJob,
  Published,
  Callback,
  RunAccepted,
  StepDue,
  RunEnded,
  Events,
]

/** The codes of problem documents, and those of verdicts and the history. */
const CODES: Readonly<Record<string, Omit<ErrorExplained, 'code'>>> = {
  ...CHAIN_ERRORS,
  ...HTTP_ERRORS,
  ...CAMPAIGN_ERRORS,
}

const tags = ['reference']

/** GET /v1/derivatives, /v1/schemas and /v1/errors: what can be asked for, and what words mean. */
export async function referenceRoutes(
  app: FastifyInstance,
  { registry }: { readonly registry: Registry },
): Promise<void> {
  const derivatives = [...registry.values()].map((each) => {
    const { id, version, title, stage, files, cost } = each
    return {
      id,
      version,
      title,
      stage,
      files,
      cost: { fixed_ms: cost.fixedMs, ms_per_second: cost.msPerSecond },
      splittable: 'part' in each,
    }
  })
  app.get(
    '/v1/derivatives',
    {
      schema: {
        operationId: 'listDerivatives',
        tags,
        summary: 'List the available derivative assets',
        description:
          'Each with its version, its files and the schema of its result. A job without `derivative_assets` gets all of them.',
        response: { 200: jsonResponse('What can be asked for.', Derivatives), ...refused },
      },
      config: { public: true },
    },
    async (): Promise<Derivatives> => ({ derivatives }),
  )

  const schemas = new Map(
    CONTRACTS.map(({ name, schema }) => {
      const [id = name, version] = name.split('@')
      const $schema = 'https://json-schema.org/draft/2020-12/schema'
      return [id, { $schema, title: id, ...schema, $comment: `Version ${version}.` }] as const
    }),
  )
  app.get(
    '/v1/schemas',
    {
      schema: {
        operationId: 'listSchemas',
        tags,
        summary: 'List the JSON Schemas of the messages',
        description:
          'The contracts of the Pub/Sub topics. A message that breaks its contract becomes a dead letter.',
        response: { 200: jsonResponse('Their addresses.', MessageSchemas), ...refused },
      },
      config: { public: true },
    },
    async (): Promise<MessageSchemas> => ({
      schemas: [...schemas.keys()].map((name) => ({ name, href: `/v1/schemas/${name}` })),
    }),
  )
  const Name = Type.Object({ name: Type.String({ examples: ['encode-job'] }) })
  app.get<{ Params: { name: string } }>(
    '/v1/schemas/:name',
    {
      schema: {
        operationId: 'getSchema',
        tags,
        summary: 'Fetch the JSON Schema of a message',
        description: 'JSON Schema 2020-12, as the services check it.',
        params: Name,
        response: {
          200: jsonResponse('The schema.', MessageSchema, 'application/schema+json'),
          ...refused,
        },
      },
      config: { public: true },
    },
    async ({ params }, reply) => {
      const schema = schemas.get(params.name)
      if (schema === undefined) throw unknown(params.name, [...schemas.keys()])
      return reply.type('application/schema+json; charset=utf-8').send(schema)
    },
  )

  app.get(
    '/v1/errors',
    {
      schema: {
        operationId: 'listErrors',
        tags,
        summary: 'List the codes of problems',
        description:
          'The codes of problem documents, of verdicts on assets and of dead letters.',
        response: {
          200: jsonResponse('What each means and what to do.', ErrorList),
          ...refused,
        },
      },
      config: { public: true },
    },
    async (): Promise<ErrorList> => ({
      errors: Object.entries(CODES).map(([code, error]) => ({ code, ...error })),
    }),
  )
  const Code = Type.Object({ code: Type.String({ examples: ['NO_TRACK'] }) })
  app.get<{ Params: { code: string } }>(
    '/v1/errors/:code',
    {
      schema: {
        operationId: 'getError',
        tags,
        summary: 'Explain a code',
        description: 'The `type` of each problem document is the address of its code.',
        params: Code,
        response: { 200: jsonResponse('What it means.', ErrorExplained), ...refused },
      },
      config: { public: true },
    },
    async ({ params }): Promise<ErrorExplained> => {
      const { code } = params
      const error = Object.hasOwn(CODES, code) ? CODES[code] : undefined
      if (error === undefined) throw unknown(code, Object.keys(CODES))
      return { code, ...error }
    },
  )
}

function unknown(name: string, there: readonly string[]): HttpError {
  return new HttpError(
    'NOT_FOUND',
    `${JSON.stringify(name.slice(0, 100))} is none of these: ${there.join(', ')}.`,
  )
}
