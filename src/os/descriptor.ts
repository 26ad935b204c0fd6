import { readlinkSync } from 'node:fs';
import { c } from './libc.ts';

/** Closes a descriptor; −1 means none. */
export function closeFd(fd: number): void {
  if (fd >= 0) c.close(fd);
}

/**
 * The kernel's name for a descriptor: the path of a file, or for others a word that does not start
 * with a slash; empty if there is no such descriptor. Does not involve a file system, which might
 * be one that the descriptor's owner serves.
 */
export function descriptorName(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}
