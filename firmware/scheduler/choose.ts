// The decision: from the NIC down to a function, on each level
//
//   1. a child whose guarantee is not fulfilled yet; the one that has waited longest
//   2. else one of the highest priority; the one that has had least by its weight
//
// A maximum is checked on the way: it may have been used up by another processor, or been lowered.
import {
  BATCH_MAX,
  BATCH_NS,
  BATCH_SHORT,
  FUNCTION_COUNT_MAX,
  LENGTH_COST_SHIFT,
  LENGTH_COST_SHIFT_SHORT,
  NODE_ROOT,
  PIECE_BUDGET,
  PIECES_SHORT,
  SEGMENTS_PER_FRAME_MAX,
  SEGMENTS_SHORT,
  WIRE_SHORT_NS,
} from '../../layout/limits';
import { ACCOUNT_FREE, ACCOUNT_FREE_PACKETS } from '../../layout/scheduler';
import { limitDear } from './dear';
import { keyOf } from './heap';
import {
  accountOf,
  hasMaximum,
  heapOf,
  Node,
  nodeAt,
  OWED_LINKS,
  Promised,
  pauseOf,
  promiseOf,
  raiseTop,
} from './node';
import { Schedule, schedule, setPath } from './schedule';
import { freeAt, hasReady, owedKey, settle, stop } from './tree';
import { awaited, openSince } from './waits';

/** Instead of a function: nobody may send. */
export const NOBODY: u32 = 0xffffffff;

/** Chooses a function, and what its next batch may have: see Schedule. NOBODY if none may send. */
export function choose(): u32 {
  const state = schedule();
  let number = chooseOnce(state);
  // Each failed attempt stops a node, so there are few.
  while (number == NODE_ROOT) number = chooseOnce(state);
  return number;
}

/** NODE_ROOT: a node on the way was stopped instead. */
function chooseOnce(state: Schedule): u32 {
  openPath(state);
  let number = NODE_ROOT;
  if (isNicHeld(state)) return NOBODY;
  while (number >= FUNCTION_COUNT_MAX) {
    const node = nodeAt(number);
    if (!hasReady(node)) return NOBODY;
    number = childOf(node, state);
    const promise = promiseOf(number);
    if (hasMaximum(promise)) {
      const account = accountOf(number);
      const free = freeAt(account, promise);
      if (free >= state.clock) {
        stop(number, free, promise);
        return NODE_ROOT;
      }
      limitBatch(state, account, promise);
    }
    setPath(state.depth, number);
    state.depth += 1;
  }
  limitDear(state, nodeAt(number));
  return number;
}

/** Whether the capacity of the NIC is used up: then everybody waits. */
function isNicHeld(state: Schedule): bool {
  const promise = promiseOf(NODE_ROOT);
  if (state.heldUntil > state.clock) return true;
  state.heldUntil = 0;
  if (!hasMaximum(promise) || !hasReady(nodeAt(NODE_ROOT))) return false;
  const free = freeAt(accountOf(NODE_ROOT), promise);
  if (free < state.clock) {
    limitBatch(state, accountOf(NODE_ROOT), promise);
    return false;
  }
  state.heldUntil = free + pauseOf(promise.burstNs);
  nodeAt(NODE_ROOT).shortUntil = state.clock + f64(WIRE_SHORT_NS);
  return true;
}

function openPath(state: Schedule): void {
  const isShort = state.clock < state.shortUntil;
  state.depth = 0;
  state.owed = 0;
  state.spared = 0;
  state.batchFrames = isShort ? BATCH_SHORT : BATCH_MAX;
  state.batchPieces = isShort ? PIECES_SHORT : PIECE_BUDGET;
  state.batchBytes = u32.MAX_VALUE;
  state.batchSegments = isShort ? SEGMENTS_SHORT : SEGMENTS_PER_FRAME_MAX;
  state.batchShift = isShort ? LENGTH_COST_SHIFT_SHORT : LENGTH_COST_SHIFT;
}

/** The batch ends with the frame that uses up a maximum. */
function limitBatch(state: Schedule, account: u32, promise: Promised): void {
  if (promise.maxByteNs != 0) {
    const balance = min(state.clock - load<f64>(account, ACCOUNT_FREE), promise.burstNs);
    limitTo(state, balance, promise.maxByteNs, 0);
  }
  if (promise.maxPacketNs != 0) {
    const balance = min(state.clock - load<f64>(account, ACCOUNT_FREE_PACKETS), promise.burstNs);
    limitTo(state, balance, 0, promise.maxPacketNs);
  }
}

/** The batch ends with the frame that uses up `balance` ns at these rates; 0: no rate. */
function limitTo(state: Schedule, balance: f64, byteNs: f64, packetNs: f64): void {
  if (byteNs != 0) {
    const bytes = u32(min(balance / byteNs, f64(PIECE_BUDGET << LENGTH_COST_SHIFT)));
    state.batchBytes = min(state.batchBytes, max(bytes, 1));
    state.batchPieces = min(state.batchPieces, 1 + (bytes >> state.batchShift));
  }
  if (packetNs != 0) {
    const packets = u32(min(balance / packetNs, f64(BATCH_MAX)));
    state.batchFrames = min(state.batchFrames, 1 + packets);
    state.batchSegments = min(state.batchSegments, 1 + packets);
  }
}

/** A ring goes on that has waited: it takes no more than its receiver may have now. */
export function limitAfterWait(state: Schedule, ring: u32): void {
  const balance = openSince(ring);
  if (balance < 0) return;
  const promise = promiseOf(awaited(ring));
  limitTo(state, balance, promise.rxByteNs, promise.rxPacketNs);
}

function childOf(node: Node, state: Schedule): u32 {
  while (node.owed != 0 && keyOf(OWED_LINKS, node.owed) < state.clock) {
    const owed = node.owed - 1;
    if (owedKey(owed) < state.clock) {
      state.owed |= 1 << state.depth;
      return owed;
    }
    settle(owed, nodeAt(owed)); // another processor has paid for this group
  }
  const child = heapOf(node, priorityOf(node, state)) - 1;
  raiseTop(node, nodeAt(child).priority, nodeAt(child).v);
  return child;
}

/** The highest priority, but for what is due to the lower ones, which take turns. */
function priorityOf(node: Node, state: Schedule): u32 {
  const highest: u32 = 31 - clz(node.priorities);
  const lower = node.priorities ^ (1 << highest);
  if (lower == 0 || node.spare < f64(BATCH_NS)) return highest;
  state.spared |= 1 << state.depth;
  const below = lower & ((1 << node.sparePriority) - 1);
  return 31 - clz(below != 0 ? below : lower);
}
