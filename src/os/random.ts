import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

/** Bytes that one call gives whole (getrandom(2)). */
const RANDOM_BYTES_MAX = 256;
/** Rather fail than wait: the kernel has had its entropy since it booted. */
const GRND_NONBLOCK = 1;

/** Random bytes of the kernel, at most RANDOM_BYTES_MAX. Throws a SystemError. */
export function randomBytes(count: number): Uint8Array {
  if (count > RANDOM_BYTES_MAX) throw new Error('assertion: too many random bytes at once');
  checked('getrandom', c.getRandom(scratch.address, count, GRND_NONBLOCK));
  return scratch.bytes.slice(0, count);
}
