import { readlinkSync } from 'node:fs';
import { c } from './libc.ts';

/** Closes a descriptor, if it is one: −1 stands for none. */
export function closeFd(fd: number): void {
  if (fd >= 0) c.close(fd);
}

/**
 * What the kernel calls a descriptor: of a file its path, of others a word without a slash at its
 * beginning; empty if there is none. Asks no file system, which may be one that its owner serves.
 */
export function descriptorName(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}
