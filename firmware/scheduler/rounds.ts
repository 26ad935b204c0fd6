// Decides which ring is served next. In a round, each ring of this processor's work list gets one
// visit. What a visit does depends on the kind of ring (main.ts); here it only has a cost.
//
//   turn        turn      turn            A round of many busy rings takes long, so it is split: a
//   ┌─────────┐ ┌───────┐ ┌───────┐       turn ends after about 10 µs of batches. Before the round
//   │ 0  1  2 │q│ 3  4  │q│ 5  6  │ …     continues (q), rings with few frames are served: a request
//   └─────────┘ └───────┘ └───────┘       or a reply waits for a batch or two, not for all rings.
//
// The cost of such detours is recorded: after DETOUR_COST_MAX, a ring has had its turn in this
// round.
//
// Mapping a window costs the host as much as a whole turn, so a function gets one per round: after
// a miss, each of its rings is skipped once, and the next one to be served is the ring after it.
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

/** Sentinel instead of a cost: this ring was already served a full batch ahead of its turn. */
const HAD_ITS_TURN: u32 = 0xffffffff;

/** The index in the list where the round is. */
let cursor: u32 = 0;
/** The index that was checked last for a detour. */
let detour: u32 = 0;
let detoursLeft: u32 = 0;
/** The current ring is a detour, not the one at the cursor. */
let isDetour: bool = false;
let turnCost: u32 = 0;
/** The turn began in the middle of a round and may still wrap to its start. */
let mayStartOver: bool = false;
/** A ring that may have frames was skipped. */
let hasLeftOut: bool = false;
/** Turns for which batches stay short after a sparse ring was served. */
let questionTurns: u32 = 0;

/** Shift from a frame's length to its cost in pieces (PIECE_BUDGET). */
export function lengthCostShift(): u32 {
  return questionTurns != 0 ? LENGTH_COST_SHIFT_SHORT : LENGTH_COST_SHIFT;
}

/** The ring at an index of the work list, which has `workCount` entries (see the registers). */
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

/** Two bytes per function: how many of its rings are listed, and how many visits to skip. */
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

/** Called before a turn, unless the turn resumes a batch that waited. */
export function openTurn(): void {
  turnCost = 0;
  hasLeftOut = false;
  if (questionTurns != 0) questionTurns -= 1;
  mayStartOver = cursor != 0;
  // At the start of a round, every ring is visited soon anyway.
  detoursLeft = mayStartOver ? min(DETOURS_MAX, registers().workCount) : 0;
}

/** The next ring to serve, or NO_RING: the turn is over. */
export function nextRing(): u32 {
  const ring = nextDetour();
  isDetour = ring != NO_RING;
  if (isDetour) return ring;
  let next = nextOfRound();
  if (next != NO_RING || cursor != 0) return next;
  // The rest of the round had no work. Only a complete round shows that there is none at all.
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

/** Records the cost of the current ring's batch. */
export function spend(cost: u32): void {
  const isQuestion = charge(cost);
  if (isDetour && isQuestion) questionTurns = QUESTION_TURNS;
}

/**
 * The current ring waits for a window: its function has had its turn in this round, and this turn
 * has cost enough.
 */
export function spendMiss(): void {
  charge(MISS_COST);
  const at = roundsOf(ringOf(isDetour ? detour : cursor));
  const rings = load<u8>(at);
  store<u8>(at, rings > 1 ? rings : 0, 1);
}

/** Whether there may be work in rings that this turn has not visited. */
export function isUnfinished(): bool {
  return hasLeftOut;
}

/** Returns whether the ring may still be served as a detour in this round. */
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
 * The current batch had to wait and took as long as many turns. Rings that have used up their
 * detours get them back, so that they are served before the next such batch.
 */
export function renewDetours(): void {
  const mine = isDetour ? detour : cursor;
  const count = registers().workCount;
  for (let place: u32 = 0; place < count; place++) {
    if (place != mine && spentOf(place) >= DETOUR_COST_MAX) setEntry(place, ringOf(place), 0);
  }
}

/** The current ring has had its turn. */
export function leaveRing(): void {
  if (!isDetour) cursor += 1;
}

/** The current ring waits for an event: no turn visits it until it is unparked. */
export function parkRing(): void {
  const place = isDetour ? detour : cursor;
  viewAt(ringOf(place)).parked = 1;
  removeEntry(place);
}
