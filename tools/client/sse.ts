/** One of a stream of server-sent events. */
interface SseEvent {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

/** The events of a text/event-stream, each as soon as it is whole; comments (heartbeats) are passed over. */
export async function* sseEvents(text: AsyncIterable<string>): AsyncGenerator<SseEvent> {
  let held = ''
  for await (const chunk of text) {
    const blocks = (held + chunk).split(/\r?\n\r?\n/)
    held = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = eventOf(block)
      if (event !== undefined) yield event
    }
  }
}

function eventOf(block: string): SseEvent | undefined {
  const fields = block.split(/\r?\n/).map((line) => /^(\w*): ?(.*)$/s.exec(line) ?? [])
  const of = (name: string) =>
    fields.flatMap(([, key, value = '']) => (key === name ? [value] : []))
  const data = of('data')
  if (data.length === 0) return undefined
  return { event: of('event').at(-1) ?? 'message', data: data.join('\n'), id: of('id').at(-1) }
}
