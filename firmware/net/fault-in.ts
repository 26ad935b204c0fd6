// The first access to a page may take ten thousand times longer than others: the kernel has to find
// the page. A frame in many such pages would keep everybody waiting, so they are accessed before it
// is taken, some in each visit. What a visit has not reached, the next one continues with.
//
//   visit ─ 9 pages: 50 µs │ visit ─ 11 pages │ visit ─ all are there: the frame is taken
import { FAULT_IN_NS } from '../../layout/limits';
import { batch } from '../headers/batch';
import { touch } from '../memory/touch';
import { tick } from '../scheduler/clock';
import { nodeAt } from '../scheduler/node';
import { schedule } from '../scheduler/schedule';

const PAGE_SIZE: u32 = 4096;
/** At most so many pages between two looks at the clock; fewer while they take long. */
const PAGES_PER_LOOK: u32 = 16;
/** An access to a page that is there takes less, in ns. */
const PAGE_NS: u32 = 250;

/** False if the time is over before all pages of these pieces are there. */
export function faultIn(pieces: u32, count: u32): bool {
  const state = schedule();
  const until = faultInUntil(count);
  let interval = nodeAt(state.leaf).dear != 0 ? 1 : PAGES_PER_LOOK;
  let left = interval;
  for (let entry = pieces; entry < pieces + (count << 3); entry += 8) {
    const first = load<u32>(entry) / PAGE_SIZE;
    const last = (load<u32>(entry) + load<u32>(entry, 4) - 1) / PAGE_SIZE;
    for (let page = first; page <= last; page++) {
      touch(page * PAGE_SIZE);
      left -= 1;
      if (left != 0) continue;
      const before = state.clock;
      if (tick() > until) return false;
      const isSlow = state.clock - before > f64(interval * PAGE_NS);
      interval = isSlow ? 1 : min(2 * interval, PAGES_PER_LOOK);
      left = interval;
    }
  }
  return true;
}

/** A frame whose pages are all there is always taken, however many they are. */
function faultInUntil(pieces: u32): f64 {
  const now = batch();
  const clock = schedule().clock;
  if (now.faultInUntil == 0) now.faultInUntil = clock + f64(FAULT_IN_NS);
  return max(now.faultInUntil, clock) + f64(pieces * PAGE_NS);
}
