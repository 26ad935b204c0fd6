import { EFD_CLOEXEC, EFD_NONBLOCK } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

export function createEventFd(): number {
  return checked('eventfd', c.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/** Signals an eventfd of our own. A peer's could block: see raiser.ts. */
export function raiseEventFd(fd: number): void {
  c.eventfdWrite(fd, 1);
}

/** Resets an eventfd, so that a level-triggered wait sleeps again. */
export function drainEventFd(fd: number): void {
  c.read(fd, scratch.address, 8);
}
