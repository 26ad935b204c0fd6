// Time for which the processor's thread lost its CPU. Whoever had something to send meanwhile may
// make up for it: its maximum is kept for that much longer than its burst.
//
//   free ≥ now − burst − credit       credit: what was lost while it was ready, 20 ms at most
import { CREDIT_NS_MAX, LOST_NS_MIN } from '../../layout/limits';
import { Node } from './node';
import { schedule } from './schedule';

/** So many ns have just passed without a reason. */
export function noteLost(ns: f64): void {
  if (ns < f64(LOST_NS_MIN)) return;
  const state = schedule();
  state.lost += ns;
  state.lostSince = state.clock - ns;
  state.lostUntil = state.clock;
}

/** The node waits for the processor since this time. What was lost before is no concern of it. */
export function beginCredit(node: Node, since: f64): void {
  const state = schedule();
  const missed = max(state.lostUntil - max(since, state.lostSince), 0);
  node.lostSeen = state.lost - missed;
}

/** How much longer than its burst the maximum of a node is kept, in ns. */
export function creditOf(node: Node): f64 {
  const lost = schedule().lost;
  if (node.lostSeen != lost) {
    node.credit = min(node.credit + lost - node.lostSeen, f64(CREDIT_NS_MAX));
    node.lostSeen = lost;
  }
  return node.credit;
}

/** Of its maximum, the node has `unused` ns left that only its credit keeps. */
export function limitCredit(node: Node, unused: f64): void {
  node.credit = min(node.credit, max(unused, 0));
}
