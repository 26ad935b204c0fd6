import { readlinkSync } from 'node:fs';
import { EFD_CLOEXEC, EFD_NONBLOCK, F_GETFL, F_SETFL } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

export function createEventFd(): number {
  return checked('eventfd', c.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/**
 * Raises an eventfd. A full counter (EAGAIN) is as good as raised, and a peer's odd fd is the
 * peer's loss.
 */
export function raiseEventFd(fd: number): void {
  c.eventfdWrite(fd, 1);
}

/** Takes what was raised, so that a level-triggered wait sleeps again. */
export function drainEventFd(fd: number): void {
  c.read(fd, scratch.address, 8);
}

/**
 * Makes a descriptor that a peer calls an eventfd non-blocking. False if it is anything else: a
 * pipe or a socket could block the thread that raises it.
 */
export function makeNonBlocking(fd: number): boolean {
  try {
    if (readlinkSync(`/proc/self/fd/${fd}`) !== 'anon_inode:[eventfd]') return false;
  } catch {
    return false;
  }
  return c.fcntl(fd, F_SETFL, c.fcntl(fd, F_GETFL, 0) | EFD_NONBLOCK) === 0;
}
