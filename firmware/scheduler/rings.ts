// The rings that turns visit: those of each function in a circle, and all of them in the work list
// (see the registers), whose order means nothing.
import { WORK_LIST_BASE } from '../../layout/memory';
import { registers } from '../memory/registers';
import { functionOf, viewAt } from '../virtqueue/ring';
import { addIdle, nextInCircle, removeIdle, setNextInCircle } from './lists';
import { NODE_IDLE, NODE_READY, NODE_STOPPED, nodeAt } from './node';
import { openPace } from './pause';
import { goOn, leave } from './tree';

/** The ring at a place of the work list, which has `workCount` entries. */
export function ringOf(place: u32): u32 {
  return load<u32>(WORK_LIST_BASE + (place << 2));
}

/** Adds a ring, which its function's next visits look at. */
export function listRing(ring: u32): void {
  const words = registers();
  store<u32>(WORK_LIST_BASE + (words.workCount << 2), ring);
  words.workCount += 1;
  const number = functionOf(ring);
  const node = nodeAt(number);
  if (node.rings == 0) {
    node.ring = ring;
    openPace(node);
    setNextInCircle(ring, ring);
    // Whether it is still stopped is for its account to say: it may be another function by now.
    if (node.state == NODE_STOPPED) goOn(number);
    if (node.state == NODE_IDLE) addIdle(number);
  } else {
    setNextInCircle(ring, nextInCircle(node.ring));
    setNextInCircle(node.ring, ring);
  }
  node.rings += 1;
  node.empty = 0;
}

/** Removes a ring, if it is listed. */
export function unlistRing(ring: u32): void {
  const words = registers();
  for (let place: u32 = 0; place < words.workCount; place++) {
    if (ringOf(place) != ring) continue;
    words.workCount -= 1;
    store<u32>(WORK_LIST_BASE + (place << 2), ringOf(words.workCount));
    removeFromCircle(ring);
    return;
  }
}

function removeFromCircle(ring: u32): void {
  const number = functionOf(ring);
  const node = nodeAt(number);
  node.rings -= 1;
  if (node.rings == 0) {
    if (node.state == NODE_IDLE) removeIdle(number);
    // A stopped function stays so: it must not go on sooner by giving up its rings.
    else if (node.state == NODE_READY) leave(number, NODE_IDLE);
    return;
  }
  let before = node.ring;
  while (nextInCircle(before) != ring) before = nextInCircle(before);
  setNextInCircle(before, nextInCircle(ring));
  if (node.ring == ring) node.ring = nextInCircle(ring);
}

/** The ring waits for an event: no turn visits it until it is listed again. */
export function parkRing(ring: u32): void {
  viewAt(ring).parked = 1;
  unlistRing(ring);
}
