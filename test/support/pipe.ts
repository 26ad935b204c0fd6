import { c } from '../../src/os/libc.ts';
import { scratch } from '../../src/os/scratch.ts';
import { checked } from '../../src/os/system-error.ts';

/** The read end and the write end. */
export function createPipe(): [number, number] {
  checked('pipe', c.pipe(scratch.address));
  return [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
}
