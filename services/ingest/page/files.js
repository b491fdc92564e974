/** What a master's name may end in: docs/masters.md. */
const AUDIO = /\.(wav|wave|bwf|rf64|aif|aiff|aifc|flac|mp3|m4a|mp4|aac|ogg|oga|opus)$/i

/** For the file chooser. */
export const ACCEPTED = 'audio/*,.wav,.wave,.rf64,.aif,.aiff,.flac,.mp3,.m4a,.ogg,.opus'

/** @param {File} file */
export const isAudio = ({ name, type }) => AUDIO.test(name) || type.startsWith('audio/')

/**
 * What a file's name says of the track: `Artist - Title.wav`, or the title alone.
 * @param {string} fileName
 * @returns {Readonly<Record<string, string>>}
 */
export function namesFrom(fileName) {
  const name = fileName.replace(AUDIO, '').trim()
  const [artist = '', ...rest] = name.split(' - ')
  const names = rest.length === 0 ? { title: name } : { artist, title: rest.join(' - ') }
  return Object.fromEntries(
    Object.entries(names).map(([field, text]) => [field, text.trim().slice(0, 500)]),
  )
}

/**
 * All files that were dropped, those of folders too.
 * @param {DataTransfer} dropped
 * @returns {Promise<readonly File[]>}
 */
export async function filesOf(dropped) {
  // Asked for at once: the list is empty after the first wait.
  const entries = [...dropped.items]
    .filter(({ kind }) => kind === 'file')
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }))
  const found = await Promise.all(
    entries.map(({ entry, file }) => {
      if (entry !== null) return filesBelow(entry)
      return file === null ? [] : [file]
    }),
  )
  return found.flat()
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<readonly File[]>}
 */
async function filesBelow(entry) {
  if (entry.name.startsWith('.')) return []
  if (entry.isFile) {
    const { file } = /** @type {FileSystemFileEntry} */ (entry)
    return [await new Promise((resolve, reject) => file.call(entry, resolve, reject))]
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader()
  /** @type {File[]} */
  const files = []
  for (;;) {
    const some = /** @type {readonly FileSystemEntry[]} */ (
      await new Promise((resolve, reject) => reader.readEntries(resolve, reject))
    )
    // It gives a hundred at a time, and none at the end.
    if (some.length === 0) return files
    for (const each of some) files.push(...(await filesBelow(each)))
  }
}
