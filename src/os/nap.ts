import { PR_SET_TIMERSLACK } from './constants.ts';
import { c } from './libc.ts';

/** Stops this thread for this many microseconds, whatever happens meanwhile. */
export function nap(microseconds: number): void {
  c.usleep(microseconds);
}

/** The kernel may end short sleeps 50 µs late to save wake-ups; for this thread, it must not. */
export function sleepPrecisely(): void {
  c.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}
