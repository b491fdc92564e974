import { PermanentError } from '../contracts/errors/chain.ts'

/**
 * The sentences for people about a compressed master that cannot be decoded, by the kind of fault. The decoder's own
 * message (bit offsets, names from its source) is the cause, which only the log shows.
 */
const FAULTS = {
  'no sound':
    'nothing of it can be decoded: it is damaged, or of a variant that is not known here',
  'breaks off':
    'it can not be decoded to its end: it is damaged, or its rate or channels change on the way',
} as const

/** The error for a master that cannot be decoded. @param what The kind of the master, for people. */
export function decodeFault(
  what: string,
  fault: keyof typeof FAULTS,
  options?: ErrorOptions,
): PermanentError {
  return new PermanentError('MASTER_UNREADABLE', `${what}: ${FAULTS[fault]}`, options)
}

/** The name of a codec for people, by the name of its decoder. */
export function codecOf(decoder: string): string {
  return CODECS[decoder] ?? decoder.toUpperCase()
}

const CODECS: Readonly<Record<string, string>> = {
  vorbis: 'Vorbis',
  opus: 'Opus',
  adpcm_ms: 'MS ADPCM',
  adpcm_ima_wav: 'IMA ADPCM',
  adpcm_ima_qt: 'IMA ADPCM',
}
