import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { Cancellations, Cancelled, CancelReason } from '#shared/contracts/api/cancellation.ts'
import { AssetGuid, EXAMPLE_REQUEST_ID } from '#shared/contracts/api/parameters.ts'
import { badRequest } from '#shared/contracts/errors/http.ts'
import { RequestId } from '#shared/contracts/messages/ids.ts'
import { GIVEN_GUID_PATTERN, withoutBraces } from '#shared/contracts/names.ts'
import { compile } from '#shared/contracts/validator.ts'
import { JSON_TYPE, optionalDocumentIn, takeJson } from '../http/json-body.ts'
import { jsonResponse, refused } from '../http/responses.ts'
import type { Cancelling } from './cancelling.ts'
import { type CancellationFeed, MAX_CANCELLATIONS } from './feed.ts'

const MAX_BODY = 10_000
/** The longest that a question waits, s: less than any proxy lets a connection be idle. */
const MAX_WAIT_SECONDS = 25

const Params = Type.Object({
  request_id: {
    ...RequestId('As the job gave it, or as it was minted.'),
    examples: [EXAMPLE_REQUEST_ID],
  },
})

const CancelBody = Type.Object(
  {
    asset_guid: Type.Optional({
      ...AssetGuid,
      pattern: GIVEN_GUID_PATTERN,
      description:
        'The track whose job is to be cancelled; all jobs of the request when absent.',
    }),
    reason: Type.Optional(CancelReason),
  },
  { additionalProperties: false, title: 'Cancel' },
)
type CancelBody = Static<typeof CancelBody>

const cancelSchema = {
  operationId: 'cancelRequest',
  tags: ['jobs'],
  summary: 'Cancel a request, or one of its jobs',
  description: [
    'Everything of it that was accepted until now is cancelled: steps that wait are not begun, those that run are aborted within seconds, scratch is cleared, and there are no dead letters and no announcements.',
    'What was made stays made. Posted again, a cancelled job goes on with what is left. Asking twice is the same as asking once.',
    'A 409 says that all of it has ended. The body may be left out.',
  ].join('\n'),
  params: Params,
  body: {
    content: {
      [JSON_TYPE]: {
        schema: {
          ...CancelBody,
          examples: [
            { reason: 'The wrong masters.' },
            { asset_guid: 'example-track', reason: 'The wrong master.' },
          ],
        },
      },
    },
  },
  response: { 202: jsonResponse('What was cancelled.', Cancelled), ...refused },
}

const Query = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        pattern: '^\\d{1,15}$',
        description: 'The number of the last one that is known; 0 by default.',
        examples: ['7'],
      }),
    ),
    wait: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_WAIT_SECONDS,
        description: 'How long to wait where there are none, s; 0 by default.',
      }),
    ),
  },
  { additionalProperties: false },
)

const listSchema = {
  operationId: 'listCancellations',
  tags: ['jobs'],
  summary: 'Wait for cancellations',
  description: `For the services: what was cancelled in the last 32 days, in the order of numbers, ${MAX_CANCELLATIONS.toLocaleString('en')} at most. With \`wait\` the answer comes when there is something new. A job is cancelled when it was accepted at or before the \`before\` of one of them.`,
  querystring: Query,
  response: { 200: jsonResponse('The cancellations.', Cancellations), ...refused },
}

const checkBody = compile<CancelBody>(CancelBody, 'The body', badRequest)

/** POST /v1/jobs/{request_id}/cancel and GET /v1/cancellations. */
export async function cancelRoutes(
  app: FastifyInstance,
  { cancelling, cancellations: feed }: CancelDeps,
): Promise<void> {
  takeJson(app, MAX_BODY)
  // Before connections are closed: each of those who wait would be waited for.
  app.addHook('preClose', async () => feed.close())

  app.post<{ Params: Static<typeof Params> }>(
    '/v1/jobs/:request_id/cancel',
    { schema: cancelSchema, config: { scope: 'operate', takes: [JSON_TYPE], inflates: true } },
    async ({ params, body, caller }, reply): Promise<Cancelled> => {
      const { asset_guid, reason = null } = checkBody(optionalDocumentIn(body))
      const track = asset_guid === undefined ? null : withoutBraces(asset_guid)
      reply.code(202).header('cache-control', 'no-store')
      return await cancelling.request({
        requestId: params.request_id,
        track,
        by: caller,
        reason,
      })
    },
  )

  app.get<{ Querystring: Static<typeof Query> }>(
    '/v1/cancellations',
    { schema: listSchema, config: { scope: 'read' } },
    async ({ query }, reply): Promise<Cancellations> => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const { after = '0', wait = 0 } = query
      const found = await feed.after(Number(after), wait * 1000, gone.signal)
      reply.header('cache-control', 'no-store')
      const cancellations = found.cancellations.map((each) => ({
        ...each,
        before: each.before.toISOString(),
      }))
      return { cancellations, last: found.last }
    },
  )
}

interface CancelDeps {
  readonly cancelling: Cancelling
  readonly cancellations: CancellationFeed
}
