import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { STATUS_CODES } from '#shared/frame/node-http.ts'
import { PROBLEM_TYPE, problemOf } from './problem.ts'

/** Time that a refused client has to read the answer before its connection is destroyed, ms. */
const LINGER_MS = 1000

const answered = new WeakSet<Socket>()

/** Answers bytes that are not HTTP, or an incomplete request, with a problem document and ends the connection. */
export function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (answered.has(socket)) return
  answered.add(socket)
  // Once the headers of a response have been sent, a second response would only corrupt the first.
  const { _httpMessage } = socket as { _httpMessage?: { headersSent?: boolean } }
  if (error.code === 'ECONNRESET' || !socket.writable || _httpMessage?.headersSent) {
    socket.destroy()
    return
  }
  const problem = problemOf(faultOf(error), randomUUID())
  const body = JSON.stringify(problem)
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'x-content-type-options: nosniff',
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // Destroying the socket now would reset the connection while the client still sends, and the answer would be
  // lost.
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

function faultOf({ code = '', message }: NodeJS.ErrnoException): HttpError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new HttpError(
        'HEADERS_TOO_LARGE',
        'The request line and headers are longer than 16 KiB.',
      )
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpError('REQUEST_TIMEOUT', 'The headers were not complete in time.')
    case 'HPE_INVALID_EOF_STATE':
      return new HttpError('UPLOAD_INCOMPLETE', 'The connection ended before the request did.')
    default:
      return new HttpError('BAD_REQUEST', `This is not HTTP/1.1: ${message}.`)
  }
}
