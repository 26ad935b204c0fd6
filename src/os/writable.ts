import { POLLOUT } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';

/** What a descriptor that is writable takes without waiting: PIPE_BUF, pipe(7). */
export const WRITABLE_BYTES = 4096;

/** Asks, without waiting. `at`: where in the scratch page struct pollfd may lie. */
export function isWritable(fd: number, at: number): boolean {
  scratch.view.setInt32(at, fd, true); // fd, events, revents
  scratch.view.setUint32(at + 4, POLLOUT, true);
  return c.poll(scratch.address + at, 1, 0) > 0;
}
