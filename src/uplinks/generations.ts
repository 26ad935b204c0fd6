import { randomInt } from 'node:crypto';

/**
 * Counted from a random number on: the memory of an uplink outlives the process that opened what it
 * stands on, and another one must not number its own the same.
 */
let last = randomInt(2 ** 31);

/**
 * A number for what a wire is opened on: a connection, a ring of the kernel's. By it the wire knows
 * whether what stands in its memory is still true. Never 0.
 */
export function nextGeneration(): number {
  last = (last % 0xffff_ffff) + 1;
  return last;
}
