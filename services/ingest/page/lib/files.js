import { AUDIO_EXTENSIONS, LEFT_BY_SYSTEM } from './audio-files.js'

const AUDIO = new RegExp(`\\.(?:${AUDIO_EXTENSIONS.join('|')})$`, 'i')
const LEFT = new RegExp(LEFT_BY_SYSTEM, 'i')

/** The `accept` attribute of the file chooser. */
export const ACCEPTED = ['audio/*', ...AUDIO_EXTENSIONS.map((each) => `.${each}`)].join()

/**
 * Whether macOS, Windows or a NAS created the file, and not a person.
 * @param {{ name: string }} file
 */
export const isLeftBySystem = ({ name }) => LEFT.test(name)

/** @param {File} file */
export const isAudio = (file) =>
  !isLeftBySystem(file) && (AUDIO.test(file.name) || file.type.startsWith('audio/'))

/**
 * All dropped files, including those in folders.
 * @param {DataTransfer} dropped
 * @returns {Promise<readonly File[]>}
 */
export async function filesOf(dropped) {
  // Read at once, because the list is empty after the first `await`.
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
  if (entry.isDirectory && (entry.name.startsWith('.') || isLeftBySystem(entry))) return []
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
    // A call returns at most a hundred entries, and none at the end.
    if (some.length === 0) return files
    for (const each of some) files.push(...(await filesBelow(each)))
  }
}
