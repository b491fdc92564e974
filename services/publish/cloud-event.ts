/**
 * The attributes of CloudEvents 1.0 in the binary mode of its Pub/Sub binding, so that subscribers see by the type what
 * has happened.
 * @param event.id the same on every copy
 * @param event.type e.g. `job.done`
 * @param event.at when it happened, ISO 8601; left out where it is not known, because copies are the same in every byte
 */
export function cloudEvent({
  id,
  type,
  subject,
  at,
}: {
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly at?: string
}): Readonly<Record<string, string>> {
  return {
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-source': '/trackchain/publish',
    'ce-type': `trackchain.${type}`,
    'ce-subject': subject,
    'ce-datacontenttype': 'application/json',
    ...(at === undefined ? {} : { 'ce-time': at }),
  }
}
