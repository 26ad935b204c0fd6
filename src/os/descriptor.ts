import { c } from './libc.ts';

/** Closes a descriptor, if it is one: −1 stands for none. */
export function closeFd(fd: number): void {
  if (fd >= 0) c.close(fd);
}
