import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { EXAMPLE_RELEASE_ID, EXAMPLE_REQUEST_ID } from '#shared/contracts/api/parameters.ts'
import { Problem } from '#shared/contracts/api/problem.ts'
import {
  Accepted,
  AllRefused,
  LineResult,
  type Result,
  Results,
} from '#shared/contracts/api/submission.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { LINE_TYPES } from '../http/bodies.ts'
import { documentIn, JSON_TYPE, takeJson } from '../http/json-body.ts'
import { PROBLEM_TYPE, problemOf } from '../http/problem.ts'
import { jsonResponse } from '../http/responses.ts'
import { createTurns, type Turns } from '../http/turns.ts'
import { FORM_TYPE, type FormDeps, formSchema, jobFromForm } from './form.ts'
import { resultLines } from './ndjson.ts'
import { type Submissions, traceparentOf } from './submit-job.ts'

/** The largest JSON body, bytes. More comes as lines. */
const MAX_JSON_BYTES = 1024 * 1024
/** Jobs of one array. */
const MAX_JOBS = 1000

const EXAMPLE = {
  request_id: EXAMPLE_REQUEST_ID,
  release_id: EXAMPLE_RELEASE_ID,
  asset_guid: 'example-track',
  derivative_assets: ['bpm', 'key', 'waveform'],
}

/** For the document alone: a job names its track by one of two properties. The contract takes one with neither, and the service refuses it as NO_TRACK. */
const Job = Type.Union(
  [
    { ...EncodeJob.schema, title: 'EncodeJobWithGuid', required: ['asset_guid'] },
    { ...EncodeJob.schema, title: 'EncodeJobWithAssetId', required: ['asset_id'] },
  ],
  { title: 'EncodeJob' },
)

function noneAccepted(description: string) {
  return jsonResponse(
    `${description} Of an array of which no job was accepted, with the problem of each.`,
    Type.Union([Problem, AllRefused]),
    'application/problem+json',
  )
}

const schema = {
  operationId: 'submitJobs',
  tags: ['jobs'],
  summary: 'Submit jobs',
  description: [
    'Takes one EncodeJob, an array of up to 1,000, lines of them in bulk, or a form with the master itself.',
    'A 202 means that Pub/Sub has the job for good or, with the state `queued`, that the database has it until its tenant has fewer jobs open.',
    '',
    'Bulk (`application/x-ndjson`): one job a line, any number of lines, up to 64 KiB each; the answer has one',
    'line for each, in order, while the request still runs. Read it while you send. Empty lines are passed over.',
    'After 1,000 refused lines the rest is not looked at, and a last line with `line: null` says so.',
    '`Content-Encoding: gzip` is understood, of JSON too.',
    'Where the lines carry `request_id`s, the same body may be posted again at will: nothing is made twice.',
    '',
    'Form (`multipart/form-data`), for people with curl:',
    '`curl -F file=@track.wav -F \'job={"derivative_assets":["bpm"]}\' …/v1/jobs`; the fields of the job may',
    "also stand alone (`-F derivative_assets=bpm,key`). Without `asset_guid` the file's name and content give one.",
  ].join('\n'),
  body: {
    content: {
      [JSON_TYPE]: {
        schema: {
          anyOf: [Job, { type: 'array', items: Job, maxItems: MAX_JOBS }],
          examples: [EXAMPLE],
        },
      },
      'application/x-ndjson': {
        // The schema is that of a line.
        schema: { ...Job, examples: [EXAMPLE] },
      },
      [FORM_TYPE]: { schema: formSchema },
    },
  },
  response: {
    202: {
      description: 'Accepted. Of an array, each item has a result of its own.',
      headers: {
        location: { type: 'string', description: 'The address of the progress of the job.' },
      },
      content: { [JSON_TYPE]: { schema: Type.Union([Accepted, Results]) } },
    },
    200: {
      description:
        'The results of the lines, in order, one document per line. The schema is that of a line.',
      content: {
        'application/x-ndjson': {
          schema: LineResult,
        },
      },
    },
    '4xx': noneAccepted('Refused.'),
    '5xx': noneAccepted('Could not be done.'),
  },
}

/** POST /v1/jobs in all its forms. */
export async function jobRoutes(app: FastifyInstance, deps: FormDeps): Promise<void> {
  const { submissions } = deps
  const turns = createTurns()
  takeJson(app, MAX_JSON_BYTES)
  app.addContentTypeParser(LINE_TYPES, (_request, payload, done) => done(null, payload))

  const takes = [JSON_TYPE, LINE_TYPES[0] as string, FORM_TYPE]
  app.post(
    '/v1/jobs',
    { schema, config: { scope: 'submit', takes, inflates: true } },
    async (request, reply) => {
      const type = request.headers['content-type'] ?? ''
      const { tenant } = request
      if (LINE_TYPES.some((each) => type.startsWith(each))) {
        reply.code(200).type(`${LINE_TYPES[0]}; charset=utf-8`)
        return reply.send(resultLines(request, { ...deps, turns }))
      }
      if (request.isMultipart()) {
        const accepted = await jobFromForm(request, deps)
        return reply.code(202).header('location', accepted.href).send(accepted)
      }
      const value = documentIn(request.body, 'an EncodeJob')
      if (!Array.isArray(value)) {
        const accepted = await submissions.submit(value, tenant, traceparentOf(request))
        return reply.code(202).header('location', accepted.href).send(accepted)
      }
      const results = await takeAll(value, submissions, { id: request.id, tenant, turns })
      const refused = results.find(({ status }) => status !== 202)
      if (refused === undefined || results.some(({ status }) => status === 202)) {
        return reply.code(202).send({ results })
      }
      return reply
        .code(refused.status)
        .type(PROBLEM_TYPE)
        .send(JSON.stringify({ ...refused, results }))
    },
  )
}

async function takeAll(
  values: readonly unknown[],
  submissions: Submissions,
  {
    id,
    tenant,
    turns,
  }: { readonly id: string; readonly tenant: string | undefined; readonly turns: Turns },
): Promise<readonly Result[]> {
  const words = `The array has ${values.length} items; expected 1 to ${MAX_JOBS} jobs. Post more as application/x-ndjson.`
  if (values.length === 0) throw new PermanentError('NOT_AN_ENCODE_JOB', words, { at: '/' })
  if (values.length > MAX_JOBS) throw new HttpError('TOO_LARGE', words, { at: '/' })
  const results: Promise<Result>[] = []
  let until = await turns.next()
  for (const [index, value] of values.entries()) {
    if (performance.now() > until) until = await turns.next()
    results.push(takeOne(value, index))
  }
  return await Promise.all(results)

  async function takeOne(value: unknown, index: number): Promise<Result> {
    try {
      return await submissions.submit(value, tenant)
    } catch (error) {
      const problem = problemOf(error, id)
      return { ...problem, at: `/${index}${problem.at === '/' ? '' : (problem.at ?? '')}` }
    }
  }
}
