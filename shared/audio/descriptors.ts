import { closeSync, openSync } from 'node:fs'

/** A program that is started with three pipes takes them while it starts: pairs of sockets, and a pipe to its beginning. */
const NEEDED = 16

/**
 * Whether a program can be started: to be asked just before. Where a process may open no more files, Node's `spawn`
 * answers a child without pipes, and fluent-ffmpeg falls over it where nobody can catch that.
 * @throws Error EMFILE, ENFILE: a passing fault
 */
export function checkDescriptors(): void {
  const held: number[] = []
  try {
    for (let n = 0; n < NEEDED; n++) held.push(openSync('/dev/null', 'r'))
  } finally {
    for (const each of held) closeSync(each)
  }
}
