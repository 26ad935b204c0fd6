// Waiting must not let who takes nothing stop those who send to it: a frame waits for 1 ms at most,
// and both the receiving and the sending function can be waited for, or wait, during 1 % of the
// time, all their rings together.
import { PATIENCE_KEPT_NS, PATIENCE_PART } from '../../layout/limits';
import { nodeAt } from './node';
import { schedule } from './schedule';

/** How long the one may wait for the other, in ns; 0 or less: not at all. */
export function patienceLeft(sender: u32, receiver: u32): f64 {
  const spent = max(nodeAt(sender).patience, nodeAt(receiver).patience);
  return (schedule().clock - spent) / f64(PATIENCE_PART);
}

export function spendPatience(number: u32, waited: f64): void {
  const node = nodeAt(number);
  const clock = schedule().clock;
  const spent = max(node.patience, clock - f64(PATIENCE_KEPT_NS)) + waited * f64(PATIENCE_PART);
  // Many rings may have waited for it at the same time: that is not held against it for long.
  node.patience = min(spent, clock + f64(PATIENCE_KEPT_NS));
}
