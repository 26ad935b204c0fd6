import { EFD_CLOEXEC, EFD_NONBLOCK } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

export function createEventFd(): number {
  return checked('eventfd', c.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/** Raises an eventfd of our own. Those of peers could make us wait: see raiser.ts. */
export function raiseEventFd(fd: number): void {
  c.eventfdWrite(fd, 1);
}

/** Takes what was raised, so that a level-triggered wait sleeps again. */
export function drainEventFd(fd: number): void {
  c.read(fd, scratch.address, 8);
}
