// The time, in ns. The host gives its lower 32 bits, because a larger number would cost it an
// allocation; `setClock` gives all of it after each sleep.
import { nextAlarm } from './alarm';
import { noteLost } from './lost';
import { schedule } from './schedule';

/** Host: the lower 32 bits of the monotonic clock in ns. */
declare function now(): u32;

/** Host: the lower 32 bits of the thread's CPU time in ns; a system call. */
declare function cpuTime(): u32;

/** Looks at the clock. It must be looked at every 4 seconds, or it loses time until `setClock`. */
export function tick(): f64 {
  const state = schedule();
  const low = now();
  state.clock += f64(low - state.clockLow);
  state.clockLow = low;
  return state.clock;
}

/** What the time should be by now, without a look at the clock: by the work charged since. */
export function reckon(): f64 {
  const state = schedule();
  return max(state.clock, state.stamp + state.charged);
}

/** Host: called at the start and after each sleep. */
export function setClock(seconds: u32, nanoseconds: u32): void {
  const state = schedule();
  const now: u64 = u64(seconds) * 1_000_000_000 + nanoseconds;
  const alarm = nextAlarm(0);
  const before = state.clock;
  state.clock = f64(now);
  if (alarm != 0) noteLost(state.clock - max(alarm, before)); // a sleep longer than asked for
  state.clockLow = u32(now);
  lostTime();
  openLook(); // what passed before is nobody's work
}

/** What is measured next begins now. */
export function openLook(): void {
  const state = schedule();
  state.stamp = state.clock;
  state.counted = 0;
  state.charged = 0;
  state.shares = 0;
}

/** Of so much time, that in which the thread had its CPU; the rest is noted as lost. */
export function withoutLost(time: f64): f64 {
  const lost = min(lostTime(), time);
  noteLost(lost);
  return time - lost;
}

/** For how long the thread has not had its CPU since this was asked last, in ns. */
export function lostTime(): f64 {
  const state = schedule();
  const low = cpuTime();
  const lost = state.clock - state.cpuSince - f64(low - state.cpuLow);
  state.cpuSince = state.clock;
  state.cpuLow = low;
  return max(lost, 0);
}
