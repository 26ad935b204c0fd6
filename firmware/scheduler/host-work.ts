// What the host does for a function outside of its batches: requests, messages about it, taking in
// what an uplink brings. It takes part of the same processor, so it is measured with the same
// clock, and the batch that is measured meanwhile does not pay for it.
//
//   batch ──── look …                                    … host work is taken out of the interval
//        beginHostWork ── (the host) ── chargeHostWork ─► the function, and the groups above it
//                                    ── chargeServed ───► whoever was served last
import { CHARGE_MAX_NS, HOST_COST, NODE_ROOT } from '../../layout/limits';
import { ACCOUNT_WORK_NS } from '../../layout/scheduler';
import { lostTime, tick } from './clock';
import { accountOf, NODE_READY, nodeAt, parentOf, promiseOf, weightInverseOf } from './node';
import { pay } from './pay';
import { schedule } from './schedule';
import { settle } from './tree';

/** Host: what follows is work for a function. */
export function beginHostWork(): void {
  schedule().hostSince = tick();
}

/**
 * Host: charges the work since `beginHostWork`, or since the last such charge, to a function. The
 * NIC's own number stands for work that was for no function.
 */
export function chargeHostWork(number: u32): void {
  const state = schedule();
  const elapsed = tick() - state.hostSince;
  state.hostSince = state.clock;
  state.stamp += elapsed;
  const lost = elapsed > f64(HOST_COST) ? lostTime() : 0;
  chargeNode(number, min(max(elapsed - lost, 0), f64(CHARGE_MAX_NS)));
}

/**
 * Host: charges it to whoever was served last: the work that many batches leave behind, which may
 * be done when nobody has anything to do, so that nobody's next batch would pay for it.
 */
export function chargeServed(): void {
  const leaf = schedule().leaf;
  chargeHostWork(nodeAt(leaf).rings != 0 ? leaf : NODE_ROOT);
}

/** Charges a function, which need not be on the path of the current batch, and all above it. */
export function chargeNode(number: u32, work: f64): void {
  while (number != NODE_ROOT) {
    const node = nodeAt(number);
    const promise = promiseOf(number);
    pay(accountOf(number) + ACCOUNT_WORK_NS, 0, work);
    node.v += work * weightInverseOf(promise);
    if (node.state == NODE_READY) settle(number, node);
    number = parentOf(promise);
  }
  pay(accountOf(NODE_ROOT) + ACCOUNT_WORK_NS, 0, work);
}
