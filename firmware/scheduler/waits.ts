// Rings whose next frame waits for its receiver. The other rings of the function go on.
//
//   an uplink with a capacity     waited for without limit: it takes what it may, always
//   a VF at its rxMax, or whose   waited for as long as both sides have patience
//   ring has no buffers
//
// Whoever is told that a ring waits is also told when it goes on (`nextWait`): a ring that is left
// out before a sleep always has an alarm.
import { PATIENCE_NS, WAIT_RING_NS, WAIT_SLICE_NS } from '../../layout/limits';
import { RING_WAIT_SIZE, RING_WAITS_BASE } from '../../layout/memory';
import { RING_STOPPED } from '../../layout/virtqueue';
import { NO_RING } from '../headers/batch';
import { functionOf, viewAt } from '../virtqueue/ring';
import { NODE_IDLE, nodeAt, promiseOf } from './node';
import { patienceLeft, spendPatience } from './patience';
import { closedUntil, isLimited, opensAt } from './reception';
import { hasBuffers } from './room';
import { schedule } from './schedule';
import { isStoppedAbove, rouse } from './tree';
import { hasTurn, joinQueue, leaveQueue, offerTurn } from './uplink-turns';

/** Instead of the port of an uplink: the ring waits for a VF, which takes patience. */
export const NO_UPLINK: u32 = 0xffffffff;

@unmanaged
class Wait {
  /** Until then it is not looked at; 0: it does not wait. */
  until: f64;
  /** Since when it waits, … */
  since: f64;
  /** … when its frame was looked at last, and when it is looked at again in any case. */
  looked: f64;
  lookAt: f64;
  /** The function that it waits for, … */
  receiver: u32;
  /** … the port of that uplink, or NO_UPLINK, … */
  uplink: u32;
  /** … and the ring that has no buffers; NO_RING: the function may not receive more. */
  fullRing: u32;
  // The list of all rings that wait, as ring + 1.
  next: u32;
  previous: u32;
}

if (offsetof<Wait>() > RING_WAIT_SIZE) ERROR('Wait is more than its record');

function waitOf(ring: u32): Wait {
  return changetype<Wait>(RING_WAITS_BASE + ring * RING_WAIT_SIZE);
}

/** Lets the ring wait for a function. `uplink` and `fullRing`: see Wait. */
export function beginWait(ring: u32, receiver: u32, uplink: u32, fullRing: u32): void {
  const clock = schedule().clock;
  const wait = waitOf(ring);
  if (wait.until == 0) {
    wait.since = clock;
    addWait(ring, wait);
  } else {
    if (wait.receiver != receiver) wait.since = clock;
    settleWait(ring, wait);
  }
  wait.looked = clock;
  wait.receiver = receiver;
  wait.uplink = uplink;
  wait.fullRing = fullRing;
  wait.lookAt = clock + f64(PATIENCE_NS);
  if (uplink != NO_UPLINK) joinQueue(uplink, functionOf(ring));
  else wait.lookAt = min(wait.lookAt, clock + patienceLeft(functionOf(ring), receiver));
  lookLater(wait, clock);
  noteWait(wait.until);
}

/** The ring goes on, is another one, or has nothing to wait with. */
export function endWait(ring: u32): void {
  const wait = waitOf(ring);
  if (wait.until == 0) return;
  settleWait(ring, wait);
  removeWait(wait);
  wait.until = 0;
}

/**
 * Whether a frame of the ring may wait for this VF. `isFirst`: it is the one that the ring has
 * waited with so far, which is paid for.
 */
export function hasPatience(ring: u32, receiver: u32, isFirst: bool): bool {
  const clock = schedule().clock;
  const wait = waitOf(ring);
  if (isFirst && wait.until != 0 && clock - wait.since > f64(PATIENCE_NS)) return false;
  // Short waits would only cut batches.
  return patienceLeft(functionOf(ring), receiver) >= f64(WAIT_SLICE_NS);
}

/** What the ring has waited for so far is over. */
function settleWait(ring: u32, wait: Wait): void {
  if (wait.uplink != NO_UPLINK) leaveQueue(wait.uplink);
  payWait(ring);
}

/** Both sides pay for what the ring, if it waits, has waited since it was looked at last. */
export function payWait(ring: u32): void {
  const wait = waitOf(ring);
  if (wait.until == 0 || wait.uplink != NO_UPLINK) return;
  const clock = schedule().clock;
  const waited = clock - wait.looked;
  wait.looked = clock;
  spendPatience(functionOf(ring), waited);
  spendPatience(wait.receiver, waited);
}

/**
 * Whether the ring still waits. Who waits for an uplink costs next to nothing, and pays nothing.
 * Its frame is looked at again now and then: its receiver may be another one by then.
 */
export function isWaiting(ring: u32): bool {
  const wait = waitOf(ring);
  if (wait.until == 0) return false;
  const clock = schedule().clock;
  if (wait.until <= clock) {
    if (clock >= wait.lookAt || mayGoOn(ring, wait, clock)) return false;
    lookLater(wait, clock);
  }
  noteWait(wait.until);
  return true;
}

function mayGoOn(ring: u32, wait: Wait, clock: f64): bool {
  if (wait.fullRing != NO_RING) return hasBuffers(wait.fullRing, 1);
  const promise = promiseOf(wait.receiver);
  if (wait.uplink == NO_UPLINK || !isLimited(promise)) return true;
  const closed = closedUntil(wait.receiver, promise);
  return closed < clock && hasTurn(wait.uplink, functionOf(ring), clock - closed, promise);
}

/** Not later than `lookAt`, since a limit may change, and never now: time has to pass. */
function lookLater(wait: Wait, clock: f64): void {
  const soon = clock + f64(WAIT_SLICE_NS);
  const opens = wait.fullRing != NO_RING ? soon : opensAt(wait.receiver);
  wait.until = opens <= clock ? soon : max(min(opens, wait.lookAt), clock + 1);
}

/** Many rings that wait are asked less often: each time costs the others. */
function noteWait(until: f64): void {
  const state = schedule();
  const next = max(until, state.lastRound + f64(state.waiting * WAIT_RING_NS));
  if (state.nextWait == 0 || next < state.nextWait) state.nextWait = next;
}

/** The time of the first waiting ring has come: lets those go on that may. */
export function resumeWaiting(): void {
  const state = schedule();
  state.nextWait = 0;
  state.lastRound = state.clock;
  state.waitRound += 1;
  for (let next = state.firstWait; next != 0; ) {
    const ring = next - 1;
    const wait = waitOf(ring);
    next = wait.next;
    if (viewAt(ring).state == RING_STOPPED) endWait(ring);
    else if (wait.uplink != NO_UPLINK && !isStoppedAbove(functionOf(ring))) {
      offerTurn(wait.uplink, functionOf(ring));
    }
  }
  for (let next = state.firstWait; next != 0; next = waitOf(next - 1).next) {
    const ring = next - 1;
    if (isWaiting(ring)) continue;
    const number = functionOf(ring);
    const node = nodeAt(number);
    if (node.state != NODE_IDLE) continue; // its turns come to the ring
    node.ring = ring;
    rouse(number);
  }
}

/** ns that the receiver has been open, if the ring goes on after a wait for it; else −1. */
export function openSince(ring: u32): f64 {
  const wait = waitOf(ring);
  if (wait.until == 0 || wait.fullRing != NO_RING) return -1;
  const promise = promiseOf(wait.receiver);
  return isLimited(promise) ? schedule().clock - closedUntil(wait.receiver, promise) : -1;
}

/** The function that a ring waits or has just waited for. */
export function awaited(ring: u32): u32 {
  return waitOf(ring).receiver;
}

function addWait(ring: u32, wait: Wait): void {
  const state = schedule();
  wait.previous = 0;
  wait.next = state.firstWait;
  if (state.firstWait != 0) waitOf(state.firstWait - 1).previous = ring + 1;
  state.firstWait = ring + 1;
  state.waiting += 1;
}

function removeWait(wait: Wait): void {
  schedule().waiting -= 1;
  if (wait.next != 0) waitOf(wait.next - 1).previous = wait.previous;
  if (wait.previous != 0) waitOf(wait.previous - 1).next = wait.next;
  else schedule().firstWait = wait.next;
}
