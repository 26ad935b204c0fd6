// Functions that had nothing to send when they were looked at last, and the rings of each function.
import { IDLE_LIST_BASE, RING_LINKS_BASE } from '../../layout/memory';
import { nodeAt } from './node';
import { schedule } from './schedule';

export function idleAt(place: u32): u32 {
  return load<u32>(IDLE_LIST_BASE + (place << 2));
}

export function addIdle(number: u32): void {
  const state = schedule();
  store<u32>(IDLE_LIST_BASE + (state.idleCount << 2), number);
  nodeAt(number).idlePlace = state.idleCount;
  state.idleCount += 1;
}

export function removeIdle(number: u32): void {
  const state = schedule();
  const place = nodeAt(number).idlePlace;
  state.idleCount -= 1;
  const last = idleAt(state.idleCount);
  store<u32>(IDLE_LIST_BASE + (place << 2), last);
  nodeAt(last).idlePlace = place;
}

/** The next ring of the same function. */
export function nextInCircle(ring: u32): u32 {
  return load<u32>(RING_LINKS_BASE + (ring << 2));
}

export function setNextInCircle(ring: u32, next: u32): void {
  store<u32>(RING_LINKS_BASE + (ring << 2), next);
}
