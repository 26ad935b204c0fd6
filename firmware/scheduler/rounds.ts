// Whose turn it is. All rings of this processor's work list have theirs, a look each: a round. What
// a look does is their kind's matter (main.ts); here it has a cost.
//
//   turn        turn      turn            A round of many busy rings takes long, so it is done in
//   ┌─────────┐ ┌───────┐ ┌───────┐       parts: a turn ends after some 10 µs of batches. Before it
//   │ 0  1  2 │q│ 3  4  │q│ 5  6  │ …     goes on (q), rings with few frames are looked at: whoever
//   └─────────┘ └───────┘ └───────┘       asks or answers waits for a batch or two, not for all.
//
// What a ring has that way counts: after DETOUR_COST_MAX it has had its turn in this round.
//
// A window that the host has to open costs as much as a whole turn, so a function gets one a round.
// After a miss each of its rings is left out once: the next one to have a turn is the one behind.
import {
  DETOUR_COST_MAX,
  DETOUR_SLOTS_MAX,
  DETOURS_MAX,
  LENGTH_COST_SHIFT,
  LENGTH_COST_SHIFT_SHORT,
  MISS_COST,
  QUESTION_TURNS,
  TURN_COST_MAX,
} from '../../layout/limits';
import { FUNCTION_ROUNDS_BASE, WORK_LIST_BASE, WORK_SPENT_BASE } from '../../layout/memory';
import { RING_STOPPED } from '../../layout/virtqueue';
import { NO_RING } from '../headers/batch';
import { registers } from '../memory/registers';
import { hasChains, hasMoreThan } from '../virtqueue/queue';
import { functionOf, ringAt, viewAt } from '../virtqueue/ring';

/** Instead of a cost: of a ring that had a whole batch between two parts of a round. */
const HAD_ITS_TURN: u32 = 0xffffffff;

/** The place in the list where the round stands. */
let cursor: u32 = 0;
/** The place that was looked at last between two parts of a round. */
let detour: u32 = 0;
let detoursLeft: u32 = 0;
/** The ring in hand is not the one at the cursor. */
let isDetour: bool = false;
let turnCost: u32 = 0;
/** The turn began in the midst of a round, and has not come back to where it began. */
let mayStartOver: bool = false;
/** A ring was left out that may have frames. */
let hasLeftOut: bool = false;
/** Turns whose batches are still to be short, for the sake of rings with few frames. */
let questionTurns: u32 = 0;

/** What part of a frame's length costs as much as a segment of a batch. */
export function lengthCostShift(): u32 {
  return questionTurns != 0 ? LENGTH_COST_SHIFT_SHORT : LENGTH_COST_SHIFT;
}

/** The ring at a place of the work list, which has `workCount` (see the registers). */
export function ringOf(place: u32): u32 {
  return load<u32>(WORK_LIST_BASE + (place << 2));
}

function spentOf(place: u32): u32 {
  return load<u32>(WORK_SPENT_BASE + (place << 2));
}

function setEntry(place: u32, ring: u32, spent: u32): void {
  store<u32>(WORK_LIST_BASE + (place << 2), ring);
  store<u32>(WORK_SPENT_BASE + (place << 2), spent);
}

/**
 * Two bytes for each function: how many of its rings are listed, and how many looks to leave out.
 */
function roundsOf(ring: u32): u32 {
  return FUNCTION_ROUNDS_BASE + (functionOf(ring) << 1);
}

function leftOut(ring: u32): u32 {
  return load<u8>(roundsOf(ring), 1);
}

function countRing(ring: u32, change: i32): void {
  store<u8>(roundsOf(ring), u8(i32(load<u8>(roundsOf(ring))) + change));
}

export function listRing(ring: u32): void {
  const words = registers();
  setEntry(words.workCount, ring, 0);
  words.workCount += 1;
  countRing(ring, 1);
}

export function unlistRing(ring: u32): void {
  const count = registers().workCount;
  for (let place: u32 = 0; place < count; place++) {
    if (ringOf(place) != ring) continue;
    removeEntry(place);
    return;
  }
}

function removeEntry(place: u32): void {
  const words = registers();
  countRing(ringOf(place), -1);
  words.workCount -= 1;
  setEntry(place, ringOf(words.workCount), spentOf(words.workCount));
}

/**
 * Whether functions other than these two have something to send. In the midst of a batch, so the
 * ring in hand, which is blamed for traps, is another only for the length of a look.
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

/** Before a turn, unless it goes on with a batch that waited. */
export function openTurn(): void {
  turnCost = 0;
  hasLeftOut = false;
  if (questionTurns != 0) questionTurns -= 1;
  mayStartOver = cursor != 0;
  // At the beginning of a round everybody is looked at soon.
  detoursLeft = mayStartOver ? min(DETOURS_MAX, registers().workCount) : 0;
}

/** The ring whose turn it is, or NO_RING: the turn is over. */
export function nextRing(): u32 {
  const ring = nextDetour();
  isDetour = ring != NO_RING;
  if (isDetour) return ring;
  let next = nextOfRound();
  if (next != NO_RING || cursor != 0) return next;
  // The rest of the round was silent: only a whole one says that there is nothing to do.
  if (turnCost == 0 && mayStartOver) next = nextOfRound();
  mayStartOver = false;
  return next;
}

function nextDetour(): u32 {
  const words = registers();
  while (detoursLeft != 0 && turnCost < TURN_COST_MAX) {
    detoursLeft -= 1;
    detour = detour + 1 < words.workCount ? detour + 1 : 0;
    const ring = ringOf(detour);
    if (spentOf(detour) >= DETOUR_COST_MAX || leftOut(ring) != 0) continue;
    if (hasFew(ring)) return ring;
  }
  return NO_RING;
}

function nextOfRound(): u32 {
  const words = registers();
  for (; cursor < words.workCount; cursor++) {
    const ring = ringOf(cursor);
    if (viewAt(ring).state == RING_STOPPED) continue;
    if (turnCost >= TURN_COST_MAX) return NO_RING;
    if (leftOut(ring) != 0) {
      store<u8>(roundsOf(ring), u8(leftOut(ring) - 1), 1);
      setEntry(cursor, ring, 0);
      hasLeftOut = true;
      continue;
    }
    const hadItsTurn = spentOf(cursor) == HAD_ITS_TURN;
    setEntry(cursor, ring, hadItsTurn ? DETOUR_COST_MAX : 0);
    if (!hadItsTurn) return ring;
  }
  cursor = 0;
  return NO_RING;
}

function hasFew(ringNumber: u32): bool {
  const view = viewAt(ringNumber);
  if (view.state == RING_STOPPED) return false;
  const ring = ringAt(ringNumber);
  registers().currentRing = ringNumber; // before the first access that could trap
  return hasChains(view, ring) && !hasMoreThan(view, ring, DETOUR_SLOTS_MAX);
}

/** Notes what the batch of the ring in hand has cost. */
export function spend(cost: u32): void {
  const isQuestion = charge(cost);
  if (isDetour && isQuestion) questionTurns = QUESTION_TURNS;
}

/**
 * The ring in hand waits for a window: that was its function's turn in this round, and this turn
 * has cost enough.
 */
export function spendMiss(): void {
  charge(MISS_COST);
  const at = roundsOf(ringOf(isDetour ? detour : cursor));
  const rings = load<u8>(at);
  store<u8>(at, rings > 1 ? rings : 0, 1);
}

/** Whether there may be work that this turn has not looked at. */
export function isUnfinished(): bool {
  return hasLeftOut;
}

/** Returns whether the ring may still have a turn between two parts of the round. */
function charge(cost: u32): bool {
  turnCost += cost;
  const place = isDetour ? detour : cursor;
  if (spentOf(place) == HAD_ITS_TURN) return false;
  const spent = spentOf(place) + cost;
  const hasTurnsLeft = spent < DETOUR_COST_MAX;
  setEntry(place, ringOf(place), isDetour && !hasTurnsLeft ? HAD_ITS_TURN : spent);
  return hasTurnsLeft;
}

/**
 * The batch in hand had to wait, and took as long as many turns. Rings that have used up their
 * detours get them back, so that they are served before the next such batch.
 */
export function renewDetours(): void {
  const mine = isDetour ? detour : cursor;
  const count = registers().workCount;
  for (let place: u32 = 0; place < count; place++) {
    if (place != mine && spentOf(place) >= DETOUR_COST_MAX) setEntry(place, ringOf(place), 0);
  }
}

/** The ring in hand has had its turn. */
export function leaveRing(): void {
  if (!isDetour) cursor += 1;
}

/** The ring in hand waits for something: it is looked at no more until there is news of it. */
export function parkRing(): void {
  const place = isDetour ? detour : cursor;
  viewAt(ringOf(place)).parked = 1;
  removeEntry(place);
}
