import { PR_SET_TIMERSLACK } from './constants.ts';
import { c } from './libc.ts';

/** Stops this thread for so many microseconds, whatever happens meanwhile. */
export function nap(microseconds: number): void {
  c.usleep(microseconds);
}

/** The kernel may end a thread's short sleeps 50 µs late to save wake-ups: not this thread's. */
export function sleepPrecisely(): void {
  c.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}
