import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

/** Bytes that one call always returns in full (getrandom(2)). */
const RANDOM_BYTES_MAX = 256;
/** Fail rather than block; the kernel has had entropy since it booted. */
const GRND_NONBLOCK = 1;

/** Random bytes from the kernel, at most RANDOM_BYTES_MAX. Throws a SystemError. */
export function randomBytes(count: number): Uint8Array {
  if (count > RANDOM_BYTES_MAX) throw new Error('assertion: too many random bytes at once');
  checked('getrandom', c.getRandom(scratch.address, count, GRND_NONBLOCK));
  return scratch.bytes.slice(0, count);
}
