import { appendFile } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { SpanExporter } from '@opentelemetry/sdk-trace-base'

/** The exporter of spans to a file or an OTLP receiver: see `openTracing`. */
export async function exporterTo(uri: string): Promise<SpanExporter> {
  if (!uri.startsWith('file:')) {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
    return new OTLPTraceExporter({ url: uri })
  }
  const { JsonTraceSerializer } = await import('@opentelemetry/otlp-transformer')
  const file = fileURLToPath(uri)
  const writing = new Set<Promise<void>>()
  return {
    export(spans, done) {
      const line = Buffer.from(JsonTraceSerializer.serializeRequest(spans) ?? [])
      // Each line is one write, so that several processes can share the file.
      const written = new Promise<void>((resolve) => {
        appendFile(file, Buffer.concat([line, Buffer.from('\n')]), (error) => {
          done({ code: error ? 1 : 0, ...(error ? { error } : {}) })
          resolve()
        })
      })
      writing.add(written)
      void written.finally(() => writing.delete(written))
    },
    async shutdown() {
      await Promise.all(writing)
    },
  }
}
