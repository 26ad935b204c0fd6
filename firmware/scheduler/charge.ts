// Charges a batch to each node of its path, after it is done: what it took is known only then.
//
//   free       += bytes × ns/byte of the maximum       whose time is in the future is stopped
//   paid       += bytes × ns/byte of the guarantee     if it was chosen for its guarantee,
//   paidTime   += work × ns/ns of the guarantee
//   v          += cost / weight                        … else
//
// The cost is what is short: processor time, or, below a node that has used up its maximum lately,
// time on that wire, if it is more. Only one of the two is charged: a function gets its guarantee
// and, by its weight, its part of the rest.
import { BATCH_NS, KEPT_NS, NODE_ROOT, PRIORITY_FLOOR } from '../../layout/limits';
import {
  ACCOUNT_BYTES,
  ACCOUNT_FREE,
  ACCOUNT_FREE_PACKETS,
  ACCOUNT_PACKETS,
  ACCOUNT_PAID,
  ACCOUNT_PAID_TIME,
  ACCOUNT_SHARE_BYTES,
  ACCOUNT_WORK_NS,
} from '../../layout/scheduler';
import { creditOf, limitCredit, limitShareCredit, shareCreditOf } from './lost';
import { accountOf, hasMaximum, Node, nodeAt, Promised, promiseOf, weightInverseOf } from './node';
import { count, pay } from './pay';
import { pathAt, Schedule, schedule } from './schedule';
import { afterRefund } from './shared-look';
import { freeAt, owedKey } from './tree';

/** `work`: in ns. `bytes` and `packets` as they would be on a wire. */
export function charge(work: f64, bytes: u32, packets: u32): void {
  const state = schedule();
  state.turnWork += work;
  state.restOf = state.leaf + 1;
  state.unswept += work;
  const leaf = nodeAt(state.leaf);
  leaf.work += work;
  if (leaf.refund != 0) work = afterRefund(leaf, work);
  const nic = promiseOf(NODE_ROOT);
  countWork(NODE_ROOT, work, bytes, packets);
  let isFree = !hasMaximum(nic);
  if (!isFree) payMaximum(state, NODE_ROOT, nic, bytes, packets);
  let above = NODE_ROOT;
  let cost = work;
  for (let depth: u32 = 0; depth < state.depth; depth++) {
    const number = pathAt(depth);
    const promise = promiseOf(number);
    if (nodeAt(above).shortUntil > state.clock) cost = max(cost, wireTime(above, bytes, packets));
    countWork(number, work, bytes, packets);
    if ((state.owed >> depth) & 1) payGuarantee(state, number, promise, work, bytes);
    else takeTurn(state, depth, nodeAt(above), number, cost * weightInverseOf(promise), work);
    if (hasMaximum(promise)) {
      payMaximum(state, number, promise, bytes, packets);
      isFree = false;
    }
    above = number;
  }
  if (isFree) state.hasFreeWork = true;
}

/** What these take of a node's maximum, in ns. */
function wireTime(number: u32, bytes: u32, packets: u32): f64 {
  const promise = promiseOf(number);
  return max(f64(bytes) * promise.maxByteNs, f64(packets) * promise.maxPacketNs);
}

function countWork(number: u32, work: f64, bytes: u32, packets: u32): void {
  const account = accountOf(number);
  pay(account + ACCOUNT_WORK_NS, 0, work);
  count(account + ACCOUNT_BYTES, bytes);
  count(account + ACCOUNT_PACKETS, packets);
}

function payGuarantee(
  state: Schedule,
  number: u32,
  promise: Promised,
  work: f64,
  bytes: u32,
): void {
  const node = nodeAt(number);
  const account = accountOf(number);
  const kept = state.clock - f64(KEPT_NS);
  const oldest = kept - shareCreditOf(node);
  pay(account + ACCOUNT_PAID, oldest, f64(bytes) * promise.shareByteNs);
  pay(account + ACCOUNT_PAID_TIME, oldest, work * promise.shareTime);
  if (node.shareCredit != 0) limitShareCredit(node, kept - owedKey(number));
  count(account + ACCOUNT_SHARE_BYTES, bytes);
}

/** `parent`: of the node, which has had `v` more by its weight. */
function takeTurn(state: Schedule, depth: u32, parent: Node, number: u32, v: f64, work: f64): void {
  const node = nodeAt(number);
  node.v += v;
  if ((state.spared >> depth) & 1) {
    parent.spare -= work;
    parent.sparePriority = node.priority;
  } else if (parent.priorities >> 1 != 0) {
    parent.spare = min(parent.spare + work / PRIORITY_FLOOR, f64(2 * BATCH_NS));
  }
}

function payMaximum(
  state: Schedule,
  number: u32,
  promise: Promised,
  bytes: u32,
  packets: u32,
): void {
  const node = nodeAt(number);
  const account = accountOf(number);
  const kept = state.clock - promise.burstNs;
  const oldest = kept - creditOf(node);
  if (promise.maxByteNs != 0) {
    pay(account + ACCOUNT_FREE, oldest, f64(bytes) * promise.maxByteNs);
  }
  if (promise.maxPacketNs != 0) {
    pay(account + ACCOUNT_FREE_PACKETS, oldest, f64(packets) * promise.maxPacketNs);
  }
  if (node.credit != 0) limitCredit(node, kept - freeAt(account, promise));
}
