import { closeSync, openSync } from 'node:fs'

/** The number of free file descriptors needed to start a program with three pipes: socket pairs, and a start-up pipe. */
const NEEDED = 16

/**
 * Checks, just before a program is started, that it can be. If a process may open no more files, Node's `spawn` returns
 * a child without pipes, and fluent-ffmpeg then throws an error that cannot be caught.
 * @throws Error EMFILE, ENFILE: faults that may pass
 */
export function checkDescriptors(): void {
  const held: number[] = []
  try {
    for (let n = 0; n < NEEDED; n++) held.push(openSync('/dev/null', 'r'))
  } finally {
    for (const each of held) closeSync(each)
  }
}
