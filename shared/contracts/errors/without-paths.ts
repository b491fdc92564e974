/** Where paths of file systems begin; what begins otherwise may be an address of ours or a JSON pointer. */
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
/** As Node says it of a call: `EACCES: permission denied, link '/a/b' -> '/a/c'`. */
const OF_A_CALL =
  /(?<=\bE[A-Z0-9]{2,}: [^,'\n]{1,80}, \w{1,20} )'\/[^'\n]*'(?: -> '\/[^'\n]*')?/g
/** After a word of the operating system's: `ENOENT /a/b`, `connect EACCES /a/b`. */
const AFTER_CODE = /(?<=\bE[A-Z0-9]{3,} )\/[^\s"'`,;()<>]+/g

/**
 * A sentence without where things lie on our machines: of each path and file URI the last name is left. For whoever
 * asks from outside; what is logged has all of it.
 */
export function withoutPaths(sentence: string): string {
  return sentence
    .replace(URI, (uri) => `file:${lastOf(uri)}`)
    .replace(OF_A_CALL, (paths) => paths.replace(/\/[^']*/g, lastOf))
    .replace(QUOTED, (path) => (isPath(path) ? lastOf(path) : path))
    .replace(AFTER_CODE, lastOf)
    .replace(BARE, lastOf)
}

/** Quoted are JSON pointers and addresses, too. */
function isPath(text: string): boolean {
  return new RegExp(`^/(?:${TOPS})(?:/|$)`).test(text) || /\.[A-Za-z0-9]{1,8}$/.test(text)
}

function lastOf(path: string): string {
  const name = /([^/]+)\/?$/.exec(path.replace(/^file:\/\//, ''))?.[1] ?? ''
  return `…/${name}`
}
