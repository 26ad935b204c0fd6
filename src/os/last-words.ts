import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { isWritable, WRITABLE_BYTES } from './writable.ts';

const STDERR = 2;

/**
 * Ends the process from whatever thread, without waiting for any other: says why on stderr, if that
 * takes it at once (a terminal that is stopped does not).
 */
export function endProcess(words: string, status: number): never {
  const bytes = new TextEncoder().encode(words).subarray(0, WRITABLE_BYTES);
  scratch.bytes.set(bytes, 0);
  if (isWritable(STDERR, WRITABLE_BYTES)) c.write(STDERR, scratch.address, bytes.length);
  c.exit(status);
  throw new Error('assertion: _exit() returned');
}
