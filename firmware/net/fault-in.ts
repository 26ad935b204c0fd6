// The first access to a page may take ten thousand times longer than others: the kernel has to find
// the page. Frames in many such pages would keep everybody waiting, so all of their pages are
// accessed before they are taken, some in each visit. What one has not reached, the next one does.
//
//   visit ─ 3 pages: 50 µs │ visit ─ 3 pages │ visit ─ all are there: the frame is taken
import { FAULT_IN_NS, PAGE_WAIT_STREAK_MAX } from '../../layout/limits';
import { Batch, batch } from '../headers/batch';
import { touch } from '../memory/touch';
import { tick } from '../scheduler/clock';
import { nodeAt } from '../scheduler/node';
import { schedule } from '../scheduler/schedule';
import { RingView } from '../virtqueue/ring';

const PAGE_SIZE: u32 = 4096;
/** At most so many pages between two looks at the clock; fewer while they take long. */
const PAGES_PER_LOOK: u32 = 16;
// What an access to a page that is there takes at most, and a look at the clock, in ns: many times
// of what is usual, since a frame whose pages are all there must always be taken.
const PAGE_NS: u32 = 250;
const LOOK_NS: u32 = 5000;

/** A frame in one piece that is not longer is in two pages at most, so nobody needs to ask. */
export const PLAIN_SIZE_MAX: u32 = PAGE_SIZE;

/** False if the time is over before all pages of these pieces are there. */
export function faultInPieces(view: RingView, pieces: u32, count: u32): bool {
  for (let entry = pieces; entry < pieces + (count << 3); entry += 8) {
    if (!faultIn(view, load<u32>(entry), load<u32>(entry, 4))) return false;
  }
  return true;
}

function faultIn(view: RingView, address: u32, length: u32): bool {
  const now = batch();
  if (now.lookInterval == 0) beginFaultIn(now);
  const last = (address + length - 1) / PAGE_SIZE;
  for (let page = address / PAGE_SIZE; page <= last; page++) {
    touch(page * PAGE_SIZE);
    now.pagesToLook -= 1;
    if (now.pagesToLook == 0 && !mayGoOn(now)) {
      // A guest that takes its pages back meanwhile, or a kernel short of memory: once is enough.
      now.hasPageWait = view.pageWaitStreak < PAGE_WAIT_STREAK_MAX;
      if (now.hasPageWait) return false;
    }
  }
  return true;
}

/** The time counts for all frames of the batch. */
function beginFaultIn(now: Batch): void {
  const state = schedule();
  now.faultInUntil = tick() + f64(FAULT_IN_NS);
  now.lookInterval = nodeAt(state.leaf).dear != 0 ? 1 : PAGES_PER_LOOK;
  now.pagesToLook = now.lookInterval;
}

/** Looks at the clock. What pages that are there may take does not count. */
function mayGoOn(now: Batch): bool {
  const before = schedule().clock;
  const quick = f64(now.lookInterval * PAGE_NS + LOOK_NS);
  now.faultInUntil += quick;
  const clock = tick();
  const isSlow = clock - before > quick;
  now.lookInterval = isSlow ? 1 : min(2 * now.lookInterval, PAGES_PER_LOOK);
  now.pagesToLook = now.lookInterval;
  return clock <= now.faultInUntil;
}
