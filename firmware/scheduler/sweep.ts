// Finds work: looks at the rings of functions that were idle; at some of them while others are
// busy, at all of them otherwise.
import { SWEEP_RINGS } from '../../layout/limits';
import { RING_KIND_REQUEST, RING_STOPPED } from '../../layout/virtqueue';
import { registers } from '../memory/registers';
import { hasChains } from '../virtqueue/queue';
import { ringAt, viewAt } from '../virtqueue/ring';
import { idleAt, nextInCircle } from './lists';
import { Node, nodeAt } from './node';
import { isPausing } from './pause';
import { schedule } from './schedule';
import { rouse } from './tree';
import { isWaiting } from './waits';

/** Looks at some idle functions, the longest not looked at first. */
export function sweepSome(): void {
  sweep(SWEEP_RINGS);
}

/** Looks at all of them. */
export function sweepAll(): void {
  sweep(u32.MAX_VALUE);
}

/** Looks at those whose pauses have ended: a pause must not outlast them. */
export function sweepPaused(): void {
  const state = schedule();
  state.pauseEnd = 0;
  for (let place: u32 = 0; place < state.idleCount; ) {
    const number = idleAt(place);
    const node = nodeAt(number);
    if (node.pausedUntil != 0 && !isPausing(node) && hasWork(node)) rouse(number);
    else place += 1;
  }
}

function sweep(ringsMax: u32): void {
  const state = schedule();
  let rings: u32 = 0;
  let place = state.idlePlace;
  for (let left = state.idleCount; left != 0 && rings < ringsMax; left--) {
    if (place >= state.idleCount) place = 0;
    const number = idleAt(place);
    const node = nodeAt(number);
    rings += node.rings;
    // The last of the list takes the place of one that is roused.
    if (!isPausing(node) && hasWork(node)) rouse(number);
    else place += 1;
  }
  state.idlePlace = place;
}

/** Whether one of its rings has work. That ring is then the next one to serve. */
function hasWork(node: Node): bool {
  const words = registers();
  let ring = node.ring;
  for (let left = node.rings; left != 0; left--) {
    const view = viewAt(ring);
    if (view.state != RING_STOPPED && !isWaiting(ring)) {
      words.currentRing = ring; // before the first access that could trap
      // A queue of requests is parked by its visit, whether it has one or not.
      if (view.kind == RING_KIND_REQUEST || hasChains(view, ringAt(ring))) {
        node.ring = ring;
        return true;
      }
    }
    ring = nextInCircle(ring);
  }
  return false;
}
