import { c } from '../../src/os/libc.ts';
import { scratch } from '../../src/os/scratch.ts';

/** Whether a non-blocking eventfd has been raised since the last call. */
export function isRaised(fd: number): boolean {
  return c.read(fd, scratch.address, 8) === 8;
}
