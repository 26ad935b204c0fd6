// Rings whose next frame waits for its receiver. The other rings of the function go on.
//
// Waiting must not let who takes nothing stop those who send to it: a frame waits for 1 ms at most,
// and both the receiving and the sending function can be waited for, or wait, during 1 % of the
// time. An uplink with a capacity is waited for without limit: it takes what it may, always.
//
// Whoever is told that a ring waits is also told when it goes on (`nextWait`): a ring that is left
// out before a sleep always has an alarm.
import { PATIENCE_KEPT_NS, PATIENCE_NS, PATIENCE_PART } from '../../layout/limits';
import { RING_WAIT_SIZE, RING_WAITS_BASE } from '../../layout/memory';
import { functionOf } from '../virtqueue/ring';
import { Node, nodeAt, promiseOf } from './node';
import { closedUntil, isLimited, opensAt } from './reception';
import { schedule } from './schedule';

@unmanaged
class Wait {
  /** Until then it is not looked at; 0: it does not wait. */
  until: f64;
  /** Since when it waits, … */
  since: f64;
  /** … and when its frame was looked at last. */
  looked: f64;
  /** The function that it waits for. */
  receiver: u32;
  isPatient: bool;
}

if (offsetof<Wait>() > RING_WAIT_SIZE) ERROR('Wait is more than its record');

function waitOf(ring: u32): Wait {
  return changetype<Wait>(RING_WAITS_BASE + ring * RING_WAIT_SIZE);
}

/**
 * Whether the ring still waits. Who waits for an uplink costs next to nothing, and pays nothing: so
 * who got less has the smaller virtual time, and goes first when the uplink opens. Its frame is
 * looked at again every PATIENCE_NS: its receiver may be another one by then.
 */
export function isWaiting(ring: u32): bool {
  const wait = waitOf(ring);
  if (wait.until == 0) return false;
  const clock = schedule().clock;
  if (wait.until <= clock) {
    if (!wait.isPatient || clock - wait.looked >= f64(PATIENCE_NS)) return false;
    const promise = promiseOf(wait.receiver);
    if (!isLimited(promise) || closedUntil(wait.receiver, promise) < clock) return false;
    wait.until = nextLook(wait.receiver, clock);
  }
  noteWait(wait.until);
  return true;
}

/** The ring goes on, or is another one. */
export function endWait(ring: u32): void {
  waitOf(ring).until = 0;
}

/** Lets the ring wait for a function. `isPatient`: it may do so without end. */
export function beginWait(ring: u32, receiver: u32, isPatient: bool): void {
  const clock = schedule().clock;
  const wait = waitOf(ring);
  if (wait.until == 0) wait.since = clock;
  wait.looked = clock;
  wait.receiver = receiver;
  wait.isPatient = isPatient;
  wait.until = nextLook(receiver, clock);
  noteWait(wait.until);
}

/** Not later than in 1 ms, since a limit may change, and never now: time has to pass. */
function nextLook(receiver: u32, clock: f64): f64 {
  return max(min(opensAt(receiver), clock + f64(PATIENCE_NS)), clock + 1);
}

function noteWait(until: f64): void {
  const state = schedule();
  if (state.nextWait == 0 || until < state.nextWait) state.nextWait = until;
}

/** Whether the ring may wait, or wait on, for this function. Pays for its waiting so far. */
export function hasPatience(ring: u32, receiver: u32): bool {
  const clock = schedule().clock;
  const wait = waitOf(ring);
  const sender = nodeAt(functionOf(ring));
  const target = nodeAt(receiver);
  if (wait.until != 0) {
    spendPatience(sender, clock, clock - wait.looked);
    spendPatience(target, clock, clock - wait.looked);
    if (clock - wait.since > f64(PATIENCE_NS)) return false;
  }
  return sender.patience < clock && target.patience < clock;
}

function spendPatience(node: Node, clock: f64, waited: f64): void {
  const oldest = clock - f64(PATIENCE_KEPT_NS);
  node.patience = max(node.patience, oldest) + waited * f64(PATIENCE_PART);
}
