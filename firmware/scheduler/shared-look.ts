// Which batches share the next look at the clock. If they took far longer than by count, nobody
// knows which of them it was: all pay in proportion, and are suspects.
//
//   look ── A: 3.5 µs by count ── B: 0.3 µs ── look: 600 µs     A pays for 92 % of it, not B for all
//
//   the next batch of each:    look ── A ── look                now it is known
import { CHARGE_MAX_NS, LOOK_SHARES_MAX } from '../../layout/limits';
import { LOOK_SHARE_SIZE, LOOK_SHARES_BASE } from '../../layout/memory';
import { openLook, tick, withoutLost } from './clock';
import { isTooLong, suspect } from './dear';
import { chargeNode } from './host-work';
import { Node, nodeAt } from './node';
import { schedule } from './schedule';

@unmanaged
class Share {
  /** Its cost by count, in ns, … */
  expected: f64;
  /** … and whose it is. */
  leaf: u32;
}

if (offsetof<Share>() > LOOK_SHARE_SIZE) ERROR('Share is more than its record');

function shareAt(place: u32): Share {
  return changetype<Share>(LOOK_SHARES_BASE + place * LOOK_SHARE_SIZE);
}

/**
 * Whether the current batch may wait for the next look. Who is served for a guarantee may not: what
 * it pays too little by count would not be paid by its guarantee later.
 */
export function mayShareLook(): bool {
  const state = schedule();
  return nodeAt(state.leaf).dear == 0 && state.owed == 0 && state.shares < LOOK_SHARES_MAX;
}

/** The current batch waits for the next look: it is charged `cost` for now. */
export function addShare(expected: f64, cost: f64): void {
  const state = schedule();
  const share = shareAt(state.shares);
  share.expected = expected;
  share.leaf = state.leaf;
  state.shares += 1;
  state.counted += expected;
  state.charged += cost;
}

/**
 * The look has come with work of the current function, for which `cost` ns are left, far more than
 * it should cost. Charges the others with their parts, and returns that of the current function.
 */
export function splitSurprise(cost: f64, expected: f64): f64 {
  const state = schedule();
  if (state.shares == 0) return cost;
  const factor = (state.charged + cost) / (state.counted + expected);
  chargeShares(factor - state.charged / state.counted);
  suspectShares();
  return expected * factor;
}

/**
 * It has come so soon that the others have been charged for `cost` ns (less than 0) that nobody
 * took. Gives that back, and returns what the current function took, which is `expected` by count.
 */
export function splitExcess(cost: f64, expected: f64): f64 {
  const state = schedule();
  const factor = max(state.charged + cost, 0) / (state.counted + expected);
  const excess = state.charged / state.counted - factor;
  for (let place: u32 = 0; place < state.shares; place++) {
    const share = shareAt(place);
    const node = nodeAt(share.leaf);
    node.refund = min(node.refund + share.expected * excess, f64(CHARGE_MAX_NS));
  }
  return expected * factor;
}

/**
 * What a function pays for `work`: less, if it has paid too much before. Nothing is taken out of an
 * account, since accounts only grow.
 */
export function afterRefund(node: Node, work: f64): f64 {
  const back = min(node.refund, work);
  node.refund -= back;
  return work - back;
}

/** A look before a batch that is measured for itself: what came before it is that of others. */
export function lookBefore(): void {
  const state = schedule();
  const elapsed = tick() - state.stamp;
  if (state.shares != 0) {
    let rest = elapsed - state.charged;
    if (isTooLong(rest, state.counted)) {
      rest = withoutLost(rest);
      if (isTooLong(rest, state.counted)) suspectShares();
    }
    chargeShares(rest / state.counted);
    openLook();
  }
  state.batchBegan = state.clock;
}

/** Each takes so many times longer than it has been charged by count. */
function chargeShares(further: f64): void {
  if (further <= 0) return;
  for (let place: u32 = 0; place < schedule().shares; place++) {
    const share = shareAt(place);
    chargeNode(share.leaf, min(share.expected * further, f64(CHARGE_MAX_NS)));
  }
}

function suspectShares(): void {
  for (let place: u32 = 0; place < schedule().shares; place++) suspect(nodeAt(shareAt(place).leaf));
}
