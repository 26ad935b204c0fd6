import { POLLOUT } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';

/** What a writable descriptor accepts without blocking: PIPE_BUF, pipe(7). */
export const WRITABLE_BYTES = 4096;

/** Does not block. `at`: where in the scratch page to put struct pollfd. */
export function isWritable(fd: number, at: number): boolean {
  scratch.view.setInt32(at, fd, true); // fd, events, revents
  scratch.view.setUint32(at + 4, POLLOUT, true);
  return c.poll(scratch.address + at, 1, 0) > 0;
}
