// Time for which the processor's thread lost its CPU. Whoever had something to send meanwhile may
// make up for it: its maximum and its guarantee are kept for that much longer.
//
//   free ≥ now − burst − credit        credit: what was lost while it was ready, 20 ms at most
//   paid ≥ now − kept − shareCredit    likewise, 4 ms at most: others wait meanwhile
import {
  CREDIT_IDLE_NS_MAX,
  CREDIT_NS_MAX,
  LOST_NS_MIN,
  SHARE_CREDIT_NS_MAX,
} from '../../layout/limits';
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

/** The node has nothing to send any more: what is lost from now on is no concern of it. */
export function closeCredit(node: Node): void {
  updateCredit(node);
  node.idleSince = schedule().clock;
}

/**
 * It has something to send again. For a moment, its driver may just not have been there; but credit
 * is no savings account, so all such moments count.
 */
export function reopenCredit(node: Node): void {
  const clock = schedule().clock;
  if (node.idleSince != 0) node.idleTime += clock - node.idleSince;
  if (node.idleTime > f64(CREDIT_IDLE_NS_MAX)) endCredit(node);
  node.idleSince = 0;
  beginCredit(node, clock);
}

/** The node waits for the processor since this time. What was lost before is no concern of it. */
export function beginCredit(node: Node, since: f64): void {
  const state = schedule();
  const missed = max(state.lostUntil - max(since, state.lostSince), 0);
  node.lostSeen = state.lost - missed;
}

/** There is nothing to make up for. */
export function endCredit(node: Node): void {
  node.credit = 0;
  node.shareCredit = 0;
}

/** How much longer than its burst the maximum of a node is kept, in ns. */
export function creditOf(node: Node): f64 {
  updateCredit(node);
  return node.credit;
}

/** How much longer than usual the guarantee of a node is kept, in ns. */
export function shareCreditOf(node: Node): f64 {
  updateCredit(node);
  return node.shareCredit;
}

function updateCredit(node: Node): void {
  const all = schedule().lost;
  if (node.lostSeen == all) return;
  const lost = all - node.lostSeen;
  node.credit = min(node.credit + lost, f64(CREDIT_NS_MAX));
  node.shareCredit = min(node.shareCredit + lost, f64(SHARE_CREDIT_NS_MAX));
  node.lostSeen = all;
  node.idleTime = 0;
}

/** Of its maximum, the node has `unused` ns left that only its credit keeps. */
export function limitCredit(node: Node, unused: f64): void {
  node.credit = min(node.credit, max(unused, 0));
}

/** The same for its guarantee. */
export function limitShareCredit(node: Node, unused: f64): void {
  node.shareCredit = min(node.shareCredit, max(unused, 0));
}
