import { CLOCK_MONOTONIC, TFD_CLOEXEC, TFD_NONBLOCK } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

const ITIMERSPEC_SIZE = 32;

/** A timer of the kernel, exact to microseconds, whose descriptor becomes readable (timerfd). */
export class Alarm {
  readonly fd = checked(
    'timerfd_create',
    c.timerfdCreate(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
  );

  /** Goes off after so many microseconds, once. Negative: an earlier setting stays. */
  set(microseconds: number): void {
    if (microseconds < 0) return;
    // struct itimerspec: the interval (none), then the first time. Of 0 ns it would mean "never".
    const { view, address } = scratch;
    for (let at = 0; at < ITIMERSPEC_SIZE; at += 4) view.setUint32(at, 0, true);
    view.setUint32(16, Math.floor(microseconds / 1e6), true);
    view.setUint32(24, Math.max((microseconds % 1e6) * 1000, 1), true);
    checked('timerfd_settime', c.timerfdSettime(this.fd, 0, address, 0));
  }

  close(): void {
    c.close(this.fd);
  }
}
