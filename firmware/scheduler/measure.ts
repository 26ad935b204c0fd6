// What work costs. The clock is looked at after each batch, except that small batches of plain
// frames share a look: each is charged by count, and by what its like has cost lately.
//
//   stamp ──── plain ──── plain ──── anything else ──── look
//              └ by count ┘          └── the rest ──┘
import {
  CHARGE_FACTOR_MAX,
  CHARGE_MAX_NS,
  CHARGE_PART_MIN,
  HOST_COST,
  MISS_COST,
  SHARED_LOOK_NS,
} from '../../layout/limits';
import { batch } from '../headers/batch';
import { lostTime, openLook, tick, withoutLost } from './clock';
import { isTooLong, suspect } from './dear';
import { noteLost } from './lost';
import { nodeAt } from './node';
import { schedule } from './schedule';
import { addShare, mayShareLook, splitExcess, splitSurprise } from './shared-look';
import { countOfFlood } from './work';

/** A new measurement counts for one part in so many of the rate. */
const RATE_AVERAGE: f64 = 16;

/** What follows is new work: what the host did before it is nobody's. */
export function beginWork(): void {
  const state = schedule();
  const before = state.clock;
  const gap = tick() - before;
  noteLost(gap);
  if (gap > f64(HOST_COST)) lostTime(); // no batch is excused for what was lost before it
  openLook();
  if (state.rate == 0) state.rate = 1;
}

/**
 * The cost of the work just done, in ns. `model`: what it should cost beside the windows that were
 * mapped for it. If it took far longer, the time for which the thread had lost its CPU is left out:
 * that is nobody's fault.
 */
export function measure(model: u32, misses: u32, isPlain: bool): f64 {
  const state = schedule();
  const expected = f64(model + misses * MISS_COST);
  const isShort = state.counted + expected < f64(SHARED_LOOK_NS);
  if (isPlain && isShort && mayShareLook()) {
    const cost = expected * state.rate;
    addShare(expected, cost);
    return cost;
  }
  const elapsed = tick() - state.stamp;
  if (isPlain) learnRate(elapsed / (state.counted + expected));
  let cost = elapsed - state.charged;
  if (isTooLong(cost, expected)) {
    cost = max(withoutLost(cost), expected);
    if (isTooLong(cost, expected)) {
      suspect(nodeAt(state.leaf));
      cost = splitSurprise(cost, expected);
    }
  } else if (cost < 0) {
    // The others have paid by count for more than has passed: only plain counts say what is whose.
    cost = splitExcess(cost, batch().floodCount != 0 ? countOfFlood(model) : f64(model));
  }
  openLook();
  return min(max(cost, expected / CHARGE_PART_MIN), f64(CHARGE_MAX_NS));
}

function learnRate(rate: f64): void {
  const state = schedule();
  const known = min(max(rate, 1.0 / CHARGE_FACTOR_MAX), f64(CHARGE_FACTOR_MAX));
  state.rate += (known - state.rate) / RATE_AVERAGE;
}
