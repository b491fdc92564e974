import { PermanentError } from '../contracts/errors/chain.ts'

/**
 * What a person is told of a compressed master that a decoder does not get on with, by the kind of fault. It says
 * what we know. What the decoder says (offsets in bits, names out of its source) is in the log, as the cause.
 */
const FAULTS = {
  'no sound':
    'nothing of it can be decoded: it is damaged, or of a variant that is not known here',
  'breaks off':
    'it can not be decoded to its end: it is damaged, or its rate or channels change on the way',
} as const

/** @param what the kind of master, for people */
export function decodeFault(
  what: string,
  fault: keyof typeof FAULTS,
  options?: ErrorOptions,
): PermanentError {
  return new PermanentError('MASTER_UNREADABLE', `${what}: ${FAULTS[fault]}`, options)
}

/** The name of a codec, by its decoder's. */
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
