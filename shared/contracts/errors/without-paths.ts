/** The top folders of file system paths. A path that begins otherwise may be an API address or a JSON pointer. */
const TOPS = [
  ...[
    'home',
    'root',
    'Users',
    'tmp',
    'var',
    'run',
    'srv',
    'mnt',
    'media',
    'data',
    'opt',
    'usr',
  ],
  ...[
    'etc',
    'proc',
    'dev',
    'sys',
    'private',
    'Volumes',
    'masters',
    'scratch',
    'nfs',
    'app',
    'work',
  ],
].join('|')

const URI = /file:\/\/[^\s"'`,;()<>]*/g
const QUOTED = /(?<=['"`])\/[^'"`\n]+(?=['"`])/g
const BARE = new RegExp(`(?<![\\w./~:…-])/(?:${TOPS})/[^\\s"'\`,;:()<>]*`, 'g')
/** Node's message about a system call: `EACCES: permission denied, link '/a/b' -> '/a/c'`. */
const OF_A_CALL =
  /(?<=\bE[A-Z0-9]{2,}: [^,'\n]{1,80}, \w{1,20} )'\/[^'\n]*'(?: -> '\/[^'\n]*')?/g
/** A path after an error code of the operating system: `ENOENT /a/b`, `connect EACCES /a/b`. */
const AFTER_CODE = /(?<=\bE[A-Z0-9]{3,} )\/[^\s"'`,;()<>]+/g

/**
 * Shortens each path and file URI in a sentence to its last name, for readers outside, who must not learn where things
 * lie on our machines. The log has the whole sentence.
 */
export function withoutPaths(sentence: string): string {
  return sentence
    .replace(URI, (uri) => `file:${lastOf(uri)}`)
    .replace(OF_A_CALL, (paths) => paths.replace(/\/[^']*/g, lastOf))
    .replace(QUOTED, (path) => (isPath(path) ? lastOf(path) : path))
    .replace(AFTER_CODE, lastOf)
    .replace(BARE, lastOf)
}

/** Whether a quoted text is a path, and not a JSON pointer or an address. */
function isPath(text: string): boolean {
  return new RegExp(`^/(?:${TOPS})(?:/|$)`).test(text) || /\.[A-Za-z0-9]{1,8}$/.test(text)
}

function lastOf(path: string): string {
  const name = /([^/]+)\/?$/.exec(path.replace(/^file:\/\//, ''))?.[1] ?? ''
  return `…/${name}`
}
