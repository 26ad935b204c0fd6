// Who may be chosen. A node that has something to send is in the heaps of its parent; a group is in
// those of its own parent while it has such children.
//
//             something to send                 its maximum is used up
//    IDLE ───────────────────────► READY ──────────────────────────────► STOPPED
//      ▲ ◄──────────────────────── │  ▲ ◄──────────────────────────────── │
//      │      nothing left              its time has come                 │
//      └──────────────── its time has come, nothing left ─────────────────┘
import {
  BATCH_NS,
  FUNCTION_COUNT_MAX,
  NODE_ROOT,
  PRIORITY_COUNT,
  WIRE_SHORT_NS,
} from '../../layout/limits';
import {
  ACCOUNT_FREE,
  ACCOUNT_FREE_PACKETS,
  ACCOUNT_HELD_NS,
  ACCOUNT_PAID,
  ACCOUNT_PAID_TIME,
  ACCOUNT_RX_FREE,
  ACCOUNT_RX_FREE_PACKETS,
} from '../../layout/scheduler';
import { insert, keyOf, remove } from './heap';
import { addIdle, removeIdle } from './lists';
import { beginCredit, closeCredit, endCredit, reopenCredit } from './lost';
import {
  accountOf,
  heapOf,
  NODE_IDLE,
  NODE_READY,
  NODE_STOPPED,
  Node,
  nodeAt,
  OWED_LINKS,
  Promised,
  parentOf,
  promiseOf,
  READY_LINKS,
  setHeap,
  stopTimeOf,
  topOf,
  weightInverseOf,
} from './node';
import { pay } from './pay';
import { pathAt, schedule } from './schedule';

/** Whether an inner node has a child to choose. */
export function hasReady(node: Node): bool {
  return node.priorities != 0;
}

/**
 * An idle node has something to send. It is ahead of the others by one batch at most: debts outlive
 * a pause, and nobody gains by looking idle.
 */
export function enter(number: u32): void {
  const node = nodeAt(number);
  const promise = promiseOf(number);
  const above = parentOf(promise);
  const parent = nodeAt(above);
  const priority = min(promise.priority, PRIORITY_COUNT - 1);
  const bonus = f64(BATCH_NS) * weightInverseOf(promise);
  // Virtual time means something only among siblings of the same priority.
  if (node.parent != above || node.priority != priority) node.v = 0;
  node.state = NODE_READY;
  node.parent = above;
  node.priority = priority;
  node.v = max(node.v, topOf(parent, priority) - bonus);
  node.work = 0;
  reopenCredit(node);
  if (above == NODE_ROOT && !hasReady(parent)) reopenCredit(parent);
  setHeap(parent, priority, insert(READY_LINKS, heapOf(parent, priority), number + 1, node.v));
  parent.priorities |= 1 << priority;
  node.isOwed = promise.shareByteNs != 0;
  if (node.isOwed) {
    parent.owed = insert(OWED_LINKS, parent.owed, number + 1, owedKey(number));
  }
  if (above != NODE_ROOT && parent.state == NODE_IDLE) enter(above);
}

/** Until when the guarantee is fulfilled: in bytes and in time. */
export function owedKey(number: u32): f64 {
  const account = accountOf(number);
  return max(load<f64>(account, ACCOUNT_PAID), load<f64>(account, ACCOUNT_PAID_TIME));
}

/** A ready node leaves its parent's heaps, for a state of the caller's. */
export function leave(number: u32, state: u32): void {
  const node = nodeAt(number);
  const parent = nodeAt(node.parent);
  const priority = node.priority;
  const rest = remove(READY_LINKS, heapOf(parent, priority), number + 1);
  setHeap(parent, priority, rest);
  if (rest == 0) parent.priorities &= ~(1 << priority);
  if (node.isOwed) parent.owed = remove(OWED_LINKS, parent.owed, number + 1);
  node.state = state;
  if (state == NODE_IDLE) closeCredit(node);
  if (hasReady(parent)) return;
  if (node.parent == NODE_ROOT) {
    if (state == NODE_IDLE) closeCredit(parent);
  } else if (parent.state == NODE_READY) {
    leave(node.parent, NODE_IDLE);
  }
}

/** A ready function has nothing left to send. */
export function rest(number: u32): void {
  leave(number, NODE_IDLE);
  addIdle(number);
}

/** An idle function has something to send. */
export function rouse(number: u32): void {
  removeIdle(number);
  nodeAt(number).empty = 0;
  enter(number);
}

/** After a charge: the places of the path's nodes in the heaps follow from their accounts. */
export function settlePath(): void {
  const state = schedule();
  // From the function up: a group is no longer ready after the stop of its last child.
  for (let depth = state.depth; depth != 0; depth--) {
    const number = pathAt(depth - 1);
    const node = nodeAt(number);
    // The function may have nothing left, or have lost its rings while a window was mapped.
    if (node.state != NODE_READY) continue;
    const promise = promiseOf(number);
    const free = freeAt(accountOf(number), promise);
    if (free >= state.clock) stop(number, free, promise);
    else settle(number, node);
  }
}

/** Moves a ready node to its places in the heaps. */
export function settle(number: u32, node: Node): void {
  const parent = nodeAt(node.parent);
  const root = heapOf(parent, node.priority);
  if (keyOf(READY_LINKS, number + 1) != node.v) {
    const others = remove(READY_LINKS, root, number + 1);
    setHeap(parent, node.priority, insert(READY_LINKS, others, number + 1, node.v));
  }
  if (!node.isOwed) return;
  const key = owedKey(number);
  if (keyOf(OWED_LINKS, number + 1) == key) return;
  const others = remove(OWED_LINKS, parent.owed, number + 1);
  parent.owed = insert(OWED_LINKS, others, number + 1, key);
}

/** Whether its own maximum, or that of a group above, holds a function. */
export function isStoppedAbove(number: u32): bool {
  for (let node = number; node != NODE_ROOT; node = parentOf(promiseOf(node))) {
    if (nodeAt(node).state == NODE_STOPPED) return true;
  }
  return false;
}

/** Until when a node has used up its maximum, in bytes or packets. */
export function freeAt(account: u32, promise: Promised): f64 {
  let free: f64 = 0;
  if (promise.maxByteNs != 0) free = load<f64>(account, ACCOUNT_FREE);
  if (promise.maxPacketNs != 0) free = max(free, load<f64>(account, ACCOUNT_FREE_PACKETS));
  return free;
}

/** A ready node has used up its maximum. It goes on when it may send a while again. */
export function stop(number: u32, free: f64, promise: Promised): void {
  const state = schedule();
  const node = nodeAt(number);
  leave(number, NODE_STOPPED);
  node.stoppedSince = state.clock;
  node.shortUntil = state.clock + f64(WIRE_SHORT_NS);
  const until = free + stopTimeOf(promise);
  state.timers = insert(READY_LINKS, state.timers, number + 1, until);
}

/** Lets the stopped nodes go on whose time has come. */
export function wakeStopped(): void {
  const state = schedule();
  while (state.timers != 0 && keyOf(READY_LINKS, state.timers) <= state.clock) {
    goOn(state.timers - 1);
  }
}

/** A stopped node goes on. */
export function goOn(number: u32): void {
  const state = schedule();
  const node = nodeAt(number);
  const due = keyOf(READY_LINKS, number + 1);
  state.timers = remove(READY_LINKS, state.timers, number + 1);
  const held = max(state.clock - node.stoppedSince, 0);
  pay(accountOf(number) + ACCOUNT_HELD_NS, 0, held);
  node.state = NODE_IDLE;
  const isGroup = number >= FUNCTION_COUNT_MAX;
  if (!(isGroup ? hasReady(node) : node.rings != 0)) {
    endCredit(node);
    return;
  }
  enter(number);
  beginCredit(node, due);
}

/** When the first stopped node goes on; 0: there is none. */
export function nextWake(): f64 {
  const timers = schedule().timers;
  return timers == 0 ? 0 : keyOf(READY_LINKS, timers);
}

/** Host: what this node is promised has changed, perhaps even its group. */
export function changeNode(number: u32): void {
  const node = nodeAt(number);
  forgiveDebts(number);
  if (number == NODE_ROOT) schedule().heldUntil = 0;
  if (node.state == NODE_STOPPED) goOn(number); // the next choice stops it again
  if (node.state != NODE_READY) return;
  leave(number, NODE_IDLE);
  enter(number);
}

/** Debts are times, at the old rate: of what it had too much, a burst at the new rate remains. */
function forgiveDebts(number: u32): void {
  const promise = promiseOf(number);
  const account = accountOf(number);
  const clock = schedule().clock;
  capDebt(account + ACCOUNT_FREE, clock + promise.burstNs);
  capDebt(account + ACCOUNT_FREE_PACKETS, clock + promise.burstNs);
  capDebt(account + ACCOUNT_PAID, clock);
  capDebt(account + ACCOUNT_PAID_TIME, clock);
  capDebt(account + ACCOUNT_RX_FREE, clock + promise.rxBurstNs);
  capDebt(account + ACCOUNT_RX_FREE_PACKETS, clock + promise.rxBurstNs);
}

function capDebt(at: usize, latest: f64): void {
  const debt = load<f64>(at) - latest;
  if (debt > 0) pay(at, 0, -debt);
}
