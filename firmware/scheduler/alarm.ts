// When somebody may go on whom a maximum or a receiver holds.
import { schedule } from './schedule';
import { nextWake } from './tree';

/** In ns of the clock; 0: nobody is held. Those whom a maximum holds may go on `later` ns later. */
export function nextAlarm(later: f64): f64 {
  const state = schedule();
  const wake = nextWake();
  return sooner(sooner(wake == 0 ? 0 : wake + later, state.nextWait), state.heldUntil);
}

/** The earlier of two times; 0 means never. */
function sooner(a: f64, b: f64): f64 {
  return a == 0 || (b != 0 && b < a) ? b : a;
}
