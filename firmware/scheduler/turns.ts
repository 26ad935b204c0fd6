// A turn: some batches, each of the function that the schedule chooses, and of its rings in turns.
//
//   openTurn ─► nextRing ─► (a visit, by the ring's kind) ─► spend ─► leaveRing ─┐
//                  ▲                                                            │
//                  └────────────── until the turn has taken TURN_NS ◄───────────┘
import {
  BATCH_COST,
  BATCH_NS,
  MISS_COST,
  NODE_ROOT,
  OVERSLEEP_NS,
  SHORT_NS,
  TURN_NS,
} from '../../layout/limits';
import { RING_STOPPED } from '../../layout/virtqueue';
import { batch, NO_RING } from '../headers/batch';
import { registers } from '../memory/registers';
import { hasChains } from '../virtqueue/queue';
import { functionOf, ringAt, viewAt } from '../virtqueue/ring';
import { nextAlarm } from './alarm';
import { charge } from './charge';
import { choose, limitAfterWait, NOBODY } from './choose';
import { learnDear } from './dear';
import { chargeNode } from './host-work';
import { nextInCircle } from './lists';
import { beginWork, measure } from './measure';
import { NODE_READY, Node, nodeAt } from './node';
import { beginPause, hasPauses, isPauseOver } from './pause';
import { ringOf } from './rings';
import { Schedule, schedule } from './schedule';
import { SERVED_EMPTIED, SERVED_HELD, SERVED_MISSED, SERVED_NOTHING, SERVED_WORK } from './served';
import { lookBefore } from './shared-look';
import { sweepAll, sweepPaused, sweepSome } from './sweep';
import { hasReady, isStoppedAbove, rest, settlePath, wakeStopped } from './tree';
import { isWaiting, resumeWaiting } from './waits';

/** Called before a turn, unless the turn resumes a batch that waited. */
export function openTurn(): void {
  const state = schedule();
  if (state.isMapping) {
    // The host has mapped the window by now: its time is that of whoever lacked it.
    charge(measure(0, 1, false), 0, 0);
    settlePath();
    state.isMapping = false;
  } else if (state.turnWork == 0) {
    beginWork(); // between two busy turns, the host's work is shared as well
  }
  state.turnWork = 0;
  state.hasSwept = false;
}

/** The next ring to serve, or NO_RING: the turn is over. */
export function nextRing(): u32 {
  const state = schedule();
  if (state.turnWork >= f64(TURN_NS)) return NO_RING;
  if (state.timers != 0) wakeStopped();
  if (state.nextWait != 0 && state.nextWait <= state.clock) resumeWaiting();
  if (state.idleCount != 0) findWork(state);
  for (let leaf = choose(); leaf != NOBODY; leaf = choose()) {
    state.leaf = leaf;
    state.ring = nodeAt(leaf).ring;
    if (viewAt(state.ring).state != RING_STOPPED && !isWaiting(state.ring)) {
      state.batchBegan = 0;
      if (nodeAt(leaf).dear != 0) lookBefore();
      limitAfterWait(state, state.ring);
      return state.ring;
    }
    leaveRing(SERVED_NOTHING);
  }
  return NO_RING;
}

/**
 * At the start of a turn, if nobody is known to have work, all idle functions are looked at; and
 * some after every BATCH_NS of work, or half of it beside functions with little to send; but not
 * more often: each look takes the ring's cache lines from the driver's core. Those that pause are
 * looked at as soon as their pauses end.
 */
function findWork(state: Schedule): void {
  if (isPauseOver()) sweepPaused();
  const isShort = state.clock < state.shortUntil;
  if (state.unswept >= f64(isShort ? BATCH_NS / 2 : BATCH_NS)) {
    state.unswept = 0;
    sweepSome();
  } else if (state.turnWork == 0 && !state.hasSwept && !hasReady(nodeAt(NODE_ROOT))) {
    state.hasSwept = true;
    sweepAll();
  }
}

/**
 * Charges the current batch. `model`: what it should cost in ns, beside BATCH_COST and `misses`
 * windows. Returns what its frames took without the windows, or −1: it was not measured for itself.
 */
export function spend(model: u32, misses: u32, isPlain: bool, bytes: u32, packets: u32): f64 {
  const state = schedule();
  const expected = model + BATCH_COST;
  const work = measure(expected, misses, isPlain);
  const own = ownWork(work, misses);
  if (own >= 0) learnDear(nodeAt(state.leaf), batch().frames, own, f64(expected));
  charge(work, bytes, packets);
  return own;
}

function ownWork(work: f64, misses: u32): f64 {
  const state = schedule();
  if (state.batchBegan == 0) return -1;
  return max(min(work, state.clock - state.batchBegan) - f64(misses * MISS_COST), 0);
}

/** The host does something for others while the current batch waits: it is not measured then. */
export function blurWork(): void {
  schedule().batchBegan = 0;
}

/** The current ring waits for a window, which the host maps before the next turn. */
export function spendMiss(): void {
  schedule().isMapping = true;
}

/** Its batch waits for something else first: the window is missed again later. */
export function forgetMiss(): void {
  schedule().isMapping = false;
}

/** The current ring was visited. `served`: SERVED_ flags. */
export function leaveRing(served: u32): void {
  const state = schedule();
  const node = nodeAt(state.leaf);
  if (served & SERVED_WORK) node.frames += batch().frames;
  if (node.rings != 0) node.ring = nextInCircle(state.ring);
  if (served & SERVED_MISSED || (served & (SERVED_WORK | SERVED_EMPTIED)) == SERVED_WORK) {
    node.empty = 0;
  } else {
    node.empty = served & SERVED_WORK ? 1 : node.empty + 1;
    if (node.empty >= node.rings) retire(node);
  }
  if (served & (SERVED_WORK | SERVED_HELD)) settlePath();
}

/** None of the function's rings has anything left. */
function retire(node: Node): void {
  const state = schedule();
  if (node.state != NODE_READY) return;
  rest(state.leaf);
  if (node.frames != 0) beginPause(node);
  // It had less than a batch, and will not be the last of its kind: batches of others stay short.
  if (node.work != 0 && node.work < f64(BATCH_NS) && hasReady(nodeAt(NODE_ROOT))) {
    state.shortUntil = state.clock + f64(SHORT_NS);
  }
}

/**
 * Nobody has anything to do now: what passed since the last batch, such as the end of its turn and
 * the look at all others, is of who had that batch.
 */
export function closeTurns(): void {
  const state = schedule();
  if (state.restOf == 0) return;
  chargeNode(state.restOf - 1, measure(BATCH_COST, 0, false));
  state.restOf = 0;
}

/** Whether there may be work that this turn has not done. */
export function isUnfinished(): bool {
  const state = schedule();
  return hasPauses() || (hasReady(nodeAt(NODE_ROOT)) && state.heldUntil <= state.clock);
}

/**
 * Host: µs for which it may sleep for those whom a maximum or a receiver holds; −1: nobody is held.
 * What a stopped node does not send until then is not lost (see lost.ts).
 */
export function wakeMicroseconds(): i32 {
  const wake = nextAlarm(f64(OVERSLEEP_NS));
  if (wake == 0) return -1;
  return i32(min(max(wake - schedule().clock, 0) / 1000, f64(i32.MAX_VALUE)));
}

/** Whether a ring may not send at the moment: its driver need not kick. */
export function isHeld(ring: u32): bool {
  const state = schedule();
  if (state.heldUntil > state.clock || isWaiting(ring)) return true;
  return isStoppedAbove(functionOf(ring));
}

/** Host: before a sleep. */
export function closeWork(): void {
  schedule().hasFreeWork = false;
}

/**
 * Host: µs until somebody may go on, if only such have worked since the last sleep; else −1. There
 * is no point in spinning for them.
 */
export function heldMicroseconds(): i32 {
  return schedule().hasFreeWork ? -1 : wakeMicroseconds();
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
