// The firmware of a processor: the entry points for the host, and the turn.
//
//   turn = for some rings of the work list: a visit, which depends on the ring's kind; interrupts
//
// A missing window ends the turn with TURN_MISSED, wherever it occurs; the next call resumes there.
import { BATCH_MAX } from '../layout/limits';
import { WHOLE_LIST_BASE } from '../layout/memory';
import {
  INTERRUPT_ALL,
  INTERRUPT_NOBODY,
  TURN_IDLE,
  TURN_MISSED,
  TURN_SIGNALS,
  TURN_UNFINISHED,
  TURN_WORKED,
} from '../layout/processor';
import {
  RING_KIND_RECEIVE,
  RING_KIND_REQUEST,
  RING_KIND_TRANSMIT,
  RING_STOPPED,
} from '../layout/virtqueue';
import { BATCH_NONE, batch, NO_RING } from './headers/batch';
import { registers } from './memory/registers';
import { listInterrupts } from './net/complete';
import { resumeFrames, serveFrames } from './net/serve';
import { configureFragments } from './offload/segment';
import { serveRequests } from './request/request';
import { listRing, parkRing, ringOf, unlistRing } from './scheduler/rings';
import { SERVED_MISSED, SERVED_PARKS, SERVED_WAITS, SERVED_WORK } from './scheduler/served';
import {
  closeTurns,
  closeWork,
  forgetMiss,
  hasWorkBeside,
  isHeld,
  isUnfinished,
  leaveRing,
  nextRing,
  openTurn,
} from './scheduler/turns';
import { endWait } from './scheduler/waits';
import { configureAgeing } from './switch/fdb-set';
import { configureLocks } from './virtqueue/lock';
import { armKicks, suppressKicks } from './virtqueue/notification';
import { functionOf, ringAt, viewAt } from './virtqueue/ring';

export { copy } from './memory/copy';
export { insertTranslation, removeTranslation } from './memory/iotlb';
export { chooseSlot, insertWindow, removeWindow } from './memory/windows';
export { setLending } from './net/lend';
export { lookAhead, openLookAhead } from './net/look-ahead';
export { checksum } from './offload/checksum';
export { flowHash } from './offload/flow-hash';
export { finishRequest, takeRequest } from './request/request';
export { setClock } from './scheduler/clock';
export { beginHostWork, chargeHostWork, chargeServed } from './scheduler/host-work';
export { changeNode } from './scheduler/tree';
export { heldMicroseconds, wakeMicroseconds } from './scheduler/turns';
export { forgetPort, learn, lookup, setStatic } from './switch/fdb';
export { configureAgeing } from './switch/fdb-set';
export { setPort } from './switch/ports';
export { functionOf } from './virtqueue/ring';

/** The hash of layout/ in this build. The host refuses any other (see scripts/build). */
// @ts-expect-error: injected by the build (asc --use)
export const layoutHash: u32 = LAYOUT_HASH;

/** Host: called once, before everything else. */
export function configure(processor: u32, processorCount: u32, macAgeSeconds: u32): void {
  configureLocks(processor, processorCount);
  for (let i: u32 = 0; i < BATCH_MAX; i++) store<u32>(WHOLE_LIST_BASE + (i << 2), i);
  configureAgeing(macAgeSeconds);
  configureFragments(processor);
}

/** Host: a ring is mapped at these linear addresses. `kind`: what it is for, RING_KIND_…. */
export function attachRing(
  ringNumber: u32,
  descriptors: u32,
  avail: u32,
  used: u32,
  state: u32,
  kind: u32,
): void {
  registers().currentRing = ringNumber; // before the first access that could trap
  const view = viewAt(ringNumber);
  view.descriptors = descriptors;
  view.avail = avail;
  view.used = used;
  view.state = state;
  view.kind = u16(kind);
  // `interruptDue` stays: its list may still hold this ring from before it was detached.
  view.missStreak = 0;
  view.pageWaitStreak = 0;
  view.parked = 0;
  endWait(ringNumber);
  suppressKicks(view, ringAt(ringNumber));
  if (kind != RING_KIND_RECEIVE) listRing(ringNumber);
}

/** Host: the ring's memory is about to be unmapped. */
export function detachRing(ringNumber: u32): void {
  viewAt(ringNumber).state = RING_STOPPED;
  viewAt(ringNumber).parked = 0;
  endWait(ringNumber);
  unlistRing(ringNumber);
}

/** Host: RING_ENABLED or RING_DISABLED. A ring that was stopped by a fault stays stopped. */
export function setRingState(ringNumber: u32, state: u32): void {
  const view = viewAt(ringNumber);
  if (view.state != RING_STOPPED) view.state = state;
}

/** Host: what these rings may be parked for has arrived: translations, a kick. */
export function unparkRings(first: u32, count: u32): void {
  for (let ring = first; ring < first + count; ring++) {
    const view = viewAt(ring);
    if (view.parked == 0) continue;
    view.parked = 0;
    listRing(ring);
  }
}

/**
 * Serves rings. Returns TURN_ flags. `whom`: whose interrupts to list at the end (INTERRUPT_…). A
 * later turn must cover the others.
 */
export function turn(whom: u32): u32 {
  const now = batch();
  if (now.state != BATCH_NONE) {
    // The resumed batch took its time: it is a turn by itself, whatever else there is to do.
    const resumed = resumeFrames();
    if (resumed & SERVED_WAITS) return TURN_WORKED | now.waitsFor;
    leaveRing(resumed);
    return endTurn(TURN_WORKED, whom);
  }
  openTurn();
  let flags: u32 = TURN_IDLE;
  for (let ring = nextRing(); ring != NO_RING; ring = nextRing()) {
    const served = serve(ring);
    if (served & SERVED_WAITS) {
      forgetMiss();
      return TURN_WORKED | now.waitsFor;
    }
    if (served & SERVED_WORK) flags = TURN_WORKED;
    if (served & SERVED_PARKS) {
      parkRing(ring);
      continue;
    }
    leaveRing(served);
    // The ring's next visit finds the window mapped; other rings need not wait for it.
    if (served & SERVED_MISSED) return endTurn(TURN_WORKED | TURN_MISSED, whom);
  }
  if (flags == TURN_IDLE) closeTurns(); // even if somebody pauses, or is held
  if (isUnfinished()) flags |= TURN_UNFINISHED;
  return endTurn(flags, whom);
}

/** Visits one ring of the work list. The only place that knows all kinds. Returns SERVED_ flags. */
function serve(ring: u32): u32 {
  const kind: u32 = viewAt(ring).kind;
  if (kind == RING_KIND_TRANSMIT) return serveFrames(ring);
  if (kind == RING_KIND_REQUEST) return serveRequests(ring);
  return unreachable();
}

/** Adds TURN_SIGNALS if there is something for the host to read. */
function endTurn(flags: u32, whom: u32): u32 {
  const words = registers();
  const hasReports =
    words.faultCount != 0 ||
    words.untranslatedCount != 0 ||
    words.loopPort != 0 ||
    words.requestCount != 0;
  if ((whom != INTERRUPT_NOBODY && listInterrupts(whom)) || hasReports) return flags | TURN_SIGNALS;
  return flags;
}

/** Host: lists the interrupts that turns left out. True if there are any. */
export function interruptRest(): bool {
  return listInterrupts(INTERRUPT_ALL);
}

/** Host: true while a batch waits. Messages that change rings or memory must wait for its end. */
export function isMidBatch(): bool {
  return batch().state != BATCH_NONE;
}

/** Host: while a batch waits for this receiver: whether that delays any other function. */
export function othersWait(receiver: u32): bool {
  return hasWorkBeside(functionOf(batch().ring), receiver);
}

/** Called before sleeping: asks all drivers for kicks. True if there is work already. */
export function arm(): bool {
  const words = registers();
  closeWork();
  let isBusy = false;
  for (let i: u32 = 0; i < words.workCount; i++) {
    const ring = ringOf(i);
    if (viewAt(ring).state == RING_STOPPED || isHeld(ring)) continue;
    words.currentRing = ring;
    if (armKicks(viewAt(ring), ringAt(ring))) isBusy = true;
  }
  return isBusy;
}

/** Called after sleeping: asks for no kicks while the processor polls. */
export function disarm(): void {
  const words = registers();
  for (let i: u32 = 0; i < words.workCount; i++) {
    const ring = ringOf(i);
    if (viewAt(ring).state == RING_STOPPED) continue;
    words.currentRing = ring;
    suppressKicks(viewAt(ring), ringAt(ring));
  }
}
