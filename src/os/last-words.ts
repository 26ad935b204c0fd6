import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { isWritable, WRITABLE_BYTES } from './writable.ts';

const STDERR = 2;

/**
 * Ends the process from any thread without waiting for another. Writes the reason to stderr if that
 * does not block (a stopped terminal would).
 */
export function endProcess(words: string, status: number): never {
  const bytes = new TextEncoder().encode(words).subarray(0, WRITABLE_BYTES);
  scratch.bytes.set(bytes, 0);
  if (isWritable(STDERR, WRITABLE_BYTES)) c.write(STDERR, scratch.address, bytes.length);
  c.exit(status);
  throw new Error('assertion: _exit() returned');
}
