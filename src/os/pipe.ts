import { F_SETFL, O_CLOEXEC, O_NONBLOCK } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

/** The read end, which does not block, and the write end. No child inherits them by itself. */
export function createPipe(): [reader: number, writer: number] {
  checked('pipe2', c.pipe2(scratch.address, O_CLOEXEC));
  const [reader, writer] = [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
  c.fcntl(reader, F_SETFL, O_NONBLOCK);
  return [reader, writer];
}
