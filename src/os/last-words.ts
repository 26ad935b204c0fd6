import { POLLOUT } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';

const STDERR = 2;
/** A pipe that is writable takes this much at once (PIPE_BUF, pipe(7)). */
const BYTES_MAX = 4096;

/**
 * Ends the process from whatever thread, without waiting for any other: says why on stderr, if that
 * takes it at once (a terminal that is stopped does not).
 */
export function endProcess(words: string, status: number): never {
  const bytes = new TextEncoder().encode(words).subarray(0, BYTES_MAX);
  scratch.bytes.set(bytes, 0);
  // struct pollfd: fd, events, revents.
  scratch.view.setInt32(BYTES_MAX, STDERR, true);
  scratch.view.setUint32(BYTES_MAX + 4, POLLOUT, true);
  if (c.poll(scratch.address + BYTES_MAX, 1, 0) > 0) {
    c.write(STDERR, scratch.address, bytes.length);
  }
  c.exit(status);
  throw new Error('assertion: _exit() returned');
}
