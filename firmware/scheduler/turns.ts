// A turn: some batches, each of the function that the schedule chooses, and of its rings in turns.
//
//   openTurn ─► nextRing ─► (a visit, by the ring's kind) ─► spend ─► leaveRing ─┐
//                  ▲                                                            │
//                  └────────────── until the turn has taken TURN_NS ◄───────────┘
import { BATCH_COST, BATCH_NS, MISS_COST, NODE_ROOT, SHORT_NS, TURN_NS } from '../../layout/limits';
import { RING_STOPPED } from '../../layout/virtqueue';
import { NO_RING } from '../headers/batch';
import { registers } from '../memory/registers';
import { hasChains } from '../virtqueue/queue';
import { functionOf, ringAt, viewAt } from '../virtqueue/ring';
import { charge } from './charge';
import { choose, NOBODY } from './choose';
import { nextInCircle } from './lists';
import { beginWork, measure } from './measure';
import { NODE_READY, NODE_STOPPED, Node, nodeAt } from './node';
import { ringOf } from './rings';
import { Schedule, schedule } from './schedule';
import { SERVED_EMPTIED, SERVED_MISSED, SERVED_NOTHING, SERVED_WORK } from './served';
import { sweepAll, sweepSome } from './sweep';
import { hasReady, nextWake, rest, settlePath, wakeStopped } from './tree';

/** Called before a turn, unless the turn resumes a batch that waited. */
export function openTurn(): void {
  const state = schedule();
  if (state.isMapping) {
    // The host has mapped the window by now: its time is that of whoever lacked it.
    charge(measure(MISS_COST, false), 0, 0);
    settlePath();
    state.isMapping = false;
  } else if (state.turnWork == 0) {
    beginWork(); // between two busy turns, the host's work is shared as well
  }
  state.turnWork = 0;
}

/** The next ring to serve, or NO_RING: the turn is over. */
export function nextRing(): u32 {
  const state = schedule();
  if (state.turnWork >= f64(TURN_NS)) return NO_RING;
  if (state.timers != 0) wakeStopped();
  if (state.idleCount != 0) findWork(state);
  for (let leaf = choose(); leaf != NOBODY; leaf = choose()) {
    state.leaf = leaf;
    state.ring = nodeAt(leaf).ring;
    if (viewAt(state.ring).state != RING_STOPPED) return state.ring;
    leaveRing(SERVED_NOTHING);
  }
  return NO_RING;
}

/**
 * At the start of a turn, if nobody is known to have work, all idle functions are looked at; and
 * some after every BATCH_NS of work, but not more often: each look takes the ring's cache lines
 * from the driver's core.
 */
function findWork(state: Schedule): void {
  if (state.unswept >= f64(BATCH_NS)) {
    state.unswept = 0;
    sweepSome();
  } else if (state.turnWork == 0 && !hasReady(nodeAt(NODE_ROOT))) {
    sweepAll();
  }
}

/** Charges the current batch. `model`: what it should cost beside BATCH_COST, in ns. */
export function spend(model: u32, isPlain: bool, bytes: u32, packets: u32): void {
  charge(measure(model + BATCH_COST, isPlain), bytes, packets);
}

/** The current ring waits for a window, which the host maps before the next turn. */
export function spendMiss(): void {
  schedule().isMapping = true;
}

/** The current ring was visited. `served`: SERVED_ flags. */
export function leaveRing(served: u32): void {
  const state = schedule();
  const node = nodeAt(state.leaf);
  if (node.rings != 0) node.ring = nextInCircle(state.ring);
  if (served & SERVED_MISSED || (served & (SERVED_WORK | SERVED_EMPTIED)) == SERVED_WORK) {
    node.empty = 0;
  } else {
    node.empty = served & SERVED_WORK ? 1 : node.empty + 1;
    if (node.empty >= node.rings) retire(node);
  }
  if (served & SERVED_WORK) settlePath();
}

/** None of the function's rings has anything left. */
function retire(node: Node): void {
  const state = schedule();
  if (node.state != NODE_READY) return;
  // It had less than a batch, so others wait for little as well: batches stay short for a while.
  if (node.work < f64(BATCH_NS)) state.shortUntil = state.clock + f64(SHORT_NS);
  rest(state.leaf);
}

/** Whether there may be work that this turn has not done. */
export function isUnfinished(): bool {
  return hasReady(nodeAt(NODE_ROOT));
}

/** Host: µs until the first function goes on that its maximum has stopped; −1: there is none. */
export function wakeMicroseconds(): i32 {
  const wake = nextWake();
  if (wake == 0) return -1;
  return i32(min(max(wake - schedule().clock, 0) / 1000, f64(i32.MAX_VALUE)));
}

/** Whether the maximum of a ring's function is used up: its driver need not kick. */
export function isHeld(ring: u32): bool {
  return nodeAt(functionOf(ring)).state == NODE_STOPPED;
}

/**
 * Whether other functions than these two have something to send. Called during a batch, so the
 * current ring, which is blamed for traps, is changed only during the check.
 */
export function hasWorkBeside(sender: u32, receiver: u32): bool {
  const words = registers();
  const inHand = words.currentRing;
  let found = false;
  for (let place: u32 = 0; place < words.workCount && !found; place++) {
    const ring = ringOf(place);
    const owner = functionOf(ring);
    if (owner == sender || owner == receiver || viewAt(ring).state == RING_STOPPED) continue;
    words.currentRing = ring; // before the first access that could trap
    found = hasChains(viewAt(ring), ringAt(ring));
  }
  words.currentRing = inHand;
  return found;
}
