import type { Scope } from '#shared/frame/settings.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route needs no token. Every route declares either this or the scope that it needs. */
    public?: boolean
    scope?: Scope
    /** The content types of the bodies that the route accepts, for problem documents. */
    takes?: readonly string[]
    /** The rate limit does not count these requests. For the page itself, and for endpoints that machines poll. */
    unlimited?: boolean
    /** Elements of pages of allowed origins may load it, which send no Origin: audio, images. */
    embeds?: boolean
    /** The route accepts bodies that are compressed by gzip. */
    inflates?: boolean
  }
  interface FastifyRequest {
    /** The caller's name for the history: the name of the token, or the name that the identity token carries. */
    caller: string
    /** The tenant on whose account the caller's jobs are made; undefined where authentication is off: a job says its own. */
    tenant: string | undefined
    /** Whether the caller may redrive and discard dead letters, and see what only operators may see. */
    mayOperate: boolean
    /** The client whose limits the request counts towards: a caller, or an address if there is no valid token. */
    client: string
  }
}
