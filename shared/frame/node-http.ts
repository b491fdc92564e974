/**
 * node:http, without what it has of browsers: an `import` of it reads all its properties, and with `WebSocket` loads
 * undici, which takes 60 ms of core time.
 */
export const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http')
