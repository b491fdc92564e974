import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { startPubsubServer } from './pubsub/server.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8085' },
    host: { type: 'string', default: '127.0.0.1' },
    file: { type: 'string', default: 'pubsub.sqlite' },
  },
})
const log = pino({ name: 'pubsub' })

const server = await startPubsubServer({
  port: Number(values.port),
  host: values.host,
  file: values.file,
  onFatal(error) {
    log.fatal({ err: error }, 'the journal cannot be written')
    process.exit(1)
  },
})
log.info({ port: server.port, host: values.host, file: values.file }, 'listening')
process.send?.({ port: server.port })

let closing = false
async function close(reason: string): Promise<void> {
  if (closing) process.exit(1)
  closing = true
  log.info({ reason }, 'closing')
  await server.close()
  process.exit(0)
}

process.on('SIGTERM', () => close('SIGTERM'))
process.on('SIGINT', () => close('SIGINT'))
process.on('disconnect', () => close('the parent is gone'))
