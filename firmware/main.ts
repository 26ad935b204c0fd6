// The firmware of a network processor: what the host calls, and the turn.
//
//   turn = for some transmit rings: inhale → classify → deliver per target → complete;  then notify
//
// A missing window returns TURN_MISSED from wherever it was; the next call goes on from there.
import { BATCH_MAX } from '../layout/limits';
import { TARGET_LIST_BASE, WHOLE_LIST_BASE } from '../layout/memory';
import {
  INTERRUPT_ALL,
  INTERRUPT_NOBODY,
  TURN_IDLE,
  TURN_LENT,
  TURN_LOCKED,
  TURN_MISSED,
  TURN_SIGNALS,
  TURN_WORKED,
} from '../layout/processor';
import { VF_F_VLAN } from '../layout/vf';
import { RING_DISABLED, RING_F_GRO, RING_STOPPED } from '../layout/virtqueue';
import {
  BATCH_DELIVERED,
  BATCH_FLOOD,
  BATCH_NONE,
  BATCH_TARGETS,
  Batch,
  batch,
  NO_RING,
} from './headers/batch';
import { frameAt, TARGET_DROP, TARGET_FLOOD } from './headers/frame';
import { control } from './memory/control';
import { vfAt } from './memory/vf-record';
import { complete, listInterrupts } from './net/complete';
import { addFlooded, deliverFlood, limitFlood, resumeFlood } from './net/flood';
import { takeLent } from './net/lend';
import { deliver } from './net/receive';
import { inhale } from './net/transmit';
import { joinFrames } from './offload/gro';
import { configureFragments } from './offload/segment';
import {
  hasWorkBeside,
  isUnfinished,
  leaveRing,
  listTransmitRing,
  nextRing,
  openTurn,
  parkRing,
  renewDetours,
  ringOf,
  spend,
  spendMiss,
  unlistTransmitRing,
} from './scheduler/rounds';
import { stepOf } from './scheduler/step';
import { batchCost } from './scheduler/work';
import { classify, TARGETS_DIFFER } from './switch/classify';
import { configureAgeing } from './switch/fdb-set';
import { classifyFlagged } from './switch/vlan';
import { configureLocks } from './virtqueue/lock';
import { armKicks, suppressKicks } from './virtqueue/notification';
import { functionOf, portOf, Ring, ringAt, viewAt } from './virtqueue/ring';

export { copy } from './memory/copy';
export { insertTranslation, removeTranslation } from './memory/iotlb';
export { chooseSlot, insertWindow, removeWindow } from './memory/windows';
export { finishCommand, takeCommand } from './net/command';
export { setLending } from './net/lend';
export { lookAhead, openLookAhead } from './net/look-ahead';
export { checksum } from './offload/checksum';
export { flowHash } from './offload/flow-hash';
export { forgetPort, learn, lookup, setStatic } from './switch/fdb';
export { configureAgeing } from './switch/fdb-set';
export { setPort } from './switch/ports';

/**
 * The hash of layout/ that this build was made from: the host refuses another (see scripts/build).
 */
// @ts-expect-error: injected by the build (asc --use)
export const layoutHash: u32 = LAYOUT_HASH;

/** Marks frames that a batch has already put on a target's list. */
const LISTED: u32 = 1;

/** Host: once, before all else. */
export function configure(processor: u32, processorCount: u32, macAgeSeconds: u32): void {
  configureLocks(processor, processorCount);
  for (let i: u32 = 0; i < BATCH_MAX; i++) store<u32>(WHOLE_LIST_BASE + (i << 2), i);
  configureAgeing(macAgeSeconds);
  configureFragments(processor);
}

/** Host: a ring is mapped at these linear addresses. `isOwned`: this processor inhales from it. */
export function attachRing(
  ringNumber: u32,
  descriptors: u32,
  avail: u32,
  used: u32,
  state: u32,
  isOwned: bool,
): void {
  control().currentRing = ringNumber; // before the first access that could trap
  const view = viewAt(ringNumber);
  view.descriptors = descriptors;
  view.avail = avail;
  view.used = used;
  view.state = state;
  // `interruptDue` stays: its list may still hold this ring from before it was detached.
  view.missStreak = 0;
  view.parked = 0;
  suppressKicks(view, ringAt(ringNumber));
  if (isOwned) listTransmitRing(ringNumber);
}

/** Host: the ring's memory is about to go. */
export function detachRing(ringNumber: u32): void {
  viewAt(ringNumber).state = RING_STOPPED;
  viewAt(ringNumber).parked = 0;
  unlistTransmitRing(ringNumber);
}

/** Host: RING_ENABLED or RING_DISABLED. A ring that a fault stopped stays so. */
export function setRingState(ringNumber: u32, state: u32): void {
  const view = viewAt(ringNumber);
  if (view.state != RING_STOPPED) view.state = state;
}

/** Host: there is news of the translations of the function whose rings these are. */
export function unparkRings(first: u32, count: u32): void {
  for (let ring = first; ring < first + count; ring++) {
    const view = viewAt(ring);
    if (view.parked == 0) continue;
    view.parked = 0;
    listTransmitRing(ring);
  }
}

/**
 * Moves frames. Returns TURN_ flags. `whom`, INTERRUPT_…: who hears of it at its end. A later turn
 * must be for the others.
 */
export function turn(whom: u32): u32 {
  const now = batch();
  if (now.state != BATCH_NONE) {
    // What waited has taken its time: it is a turn by itself, whatever else there is to do.
    if (!deliverBatch(now)) return TURN_WORKED | now.waitsFor;
    renewDetours();
    leaveRing();
    return endTurn(TURN_WORKED, whom);
  }
  openTurn();
  let flags: u32 = TURN_IDLE;
  for (let ring = nextRing(); ring != NO_RING; ring = nextRing()) {
    const frames = inhale(ring);
    if (now.hasMissed) spendMiss();
    if (frames != 0) {
      decide(now);
      if (!deliverBatch(now)) return TURN_WORKED | now.waitsFor;
      flags = TURN_WORKED;
    } else if (now.isUntranslated) {
      parkRing();
      continue; // another ring stands here now
    }
    leaveRing();
    // The ring's next turn finds the window mapped; the other rings need not wait for it.
    if (now.hasMissed) return endTurn(TURN_WORKED | TURN_MISSED, whom);
  }
  if (isUnfinished()) flags = TURN_WORKED;
  return endTurn(flags, whom);
}

/** Adds TURN_SIGNALS if there is anything for the host to tell. */
function endTurn(flags: u32, whom: u32): u32 {
  const words = control();
  const hasReports = words.faultCount != 0 || words.untranslatedCount != 0 || words.loopPort != 0;
  if ((whom != INTERRUPT_NOBODY && listInterrupts(whom)) || hasReports) return flags | TURN_SIGNALS;
  return flags;
}

/** Host: lists those for interrupts that turns left out. True if there are any. */
export function interruptRest(): bool {
  return listInterrupts(INTERRUPT_ALL);
}

/**
 * Host: true while a batch waits for a window. Commands that change rings or memory wait for its
 * end.
 */
export function isMidBatch(): bool {
  return batch().state != BATCH_NONE;
}

/** Host: in the midst of a batch for this receiver, whether it keeps anybody else waiting. */
export function othersWait(receiver: u32): bool {
  return hasWorkBeside(functionOf(batch().ring), receiver);
}

/** Before sleep: asks all drivers for kicks. True if there is work already. */
export function arm(): bool {
  const words = control();
  let isBusy = false;
  for (let i: u32 = 0; i < words.txRingCount; i++) {
    const ring = ringOf(i);
    if (viewAt(ring).state == RING_STOPPED) continue;
    words.currentRing = ring;
    if (armKicks(viewAt(ring), ringAt(ring))) isBusy = true;
  }
  return isBusy;
}

/** After sleep: no kicks, please, while the processor looks. */
export function disarm(): void {
  const words = control();
  for (let i: u32 = 0; i < words.txRingCount; i++) {
    const ring = ringOf(i);
    if (viewAt(ring).state == RING_STOPPED) continue;
    words.currentRing = ring;
    suppressKicks(viewAt(ring), ringAt(ring));
  }
}

/** Where the frames that were taken go. */
function decide(now: Batch): void {
  const vf = portOf(now.ring);
  const ring = ringAt(now.ring);
  const isDraining = viewAt(now.ring).state == RING_DISABLED;
  const flags = u32(vfAt(vf).flags);
  now.isInVlans = (flags & VF_F_VLAN) != 0;
  const common =
    flags != 0 ? classifyFlagged(vf, now.frames, isDraining) : classify(vf, now.frames, isDraining);
  now.state = BATCH_TARGETS;
  now.isAlone = now.frames == 1;
  now.isUniform = common != TARGETS_DIFFER && ring.floodNext == 0;
  if (!now.isUniform) openMixedBatch(now, ring);
  now.stepFrames = stepOf(now.frames, now.bytes);
  if (!now.isUniform) return;
  // The frequent case: one list of all frames, and nothing to look for behind it.
  now.targetRing = common;
  now.targetList = WHOLE_LIST_BASE;
  now.targetCount = now.frames;
  now.nextFrame = now.frames;
  joinTarget(now);
}

/** The frames go to several targets, or to everybody: those may be fewer than were taken. */
function openMixedBatch(now: Batch, ring: Ring): void {
  now.targetList = TARGET_LIST_BASE;
  const floodNext = ring.floodNext;
  const left = limitFlood(floodNext != 0 ? 1 : now.frames);
  if (floodNext == 0 && left == now.frames) return;
  now.hasBacklog = true;
  now.isAlone = left == 1;
  if (floodNext != 0) resumeFlood(floodNext);
  ring.floodNext = 0;
  now.frames = left;
  now.bytes = 0;
  for (let i: u32 = 0; i < left; i++) now.bytes += frameAt(i).length;
}

/**
 * Goes on with the batch where it stands. False if it waits: for a window, or until what is lent
 * has been sent, since its sender gets the buffers back when the batch completes.
 */
function deliverBatch(now: Batch): bool {
  if (now.state == BATCH_TARGETS) {
    if (!deliverTargets(now)) return pause(now, takeLent());
    now.state = BATCH_FLOOD;
  }
  if (now.state == BATCH_FLOOD) {
    if (!deliverFlood()) return pause(now, takeLent());
    now.state = BATCH_DELIVERED;
    if (takeLent()) return pause(now, true);
  }
  spend(batchCost(now.frames, now.bytes));
  if (!now.isFloodCut) {
    complete(now.ring, now.frames, now.bytes, now.floodReplicas, now.isUniform);
  }
  now.state = BATCH_NONE;
  return true;
}

function deliverTargets(now: Batch): bool {
  do {
    while (now.targetDone < now.targetCount) {
      const end = min(now.targetCount, now.targetDone + now.stepFrames);
      now.targetDone = deliver(now.targetRing, now.targetList, now.targetDone, end);
      if (now.targetDone < end) return false;
    }
  } while (nextTarget(now));
  return true;
}

/** Says what the batch waits for. Always false: it is not done. */
function pause(now: Batch, isLent: bool): bool {
  now.waitsFor = isLent ? TURN_LENT : now.isLockedOut ? TURN_LOCKED : TURN_MISSED;
  return false;
}

/** Lists the frames of the next target that has any. Flooded ones are set aside. */
function nextTarget(now: Batch): bool {
  now.targetCount = 0;
  now.targetDone = 0;
  for (; now.nextFrame < now.frames; now.nextFrame++) {
    const frame = frameAt(now.nextFrame);
    if (frame.mark == LISTED) continue;
    if (frame.target == TARGET_FLOOD) {
      addFlooded(now.nextFrame);
      continue;
    }
    if (frame.target >= TARGET_DROP) continue;
    now.targetRing = frame.target;
    listTarget(now);
    joinTarget(now);
    now.nextFrame += 1;
    return true;
  }
  return false;
}

function listTarget(now: Batch): void {
  const target = now.targetRing;
  let listed: u32 = 0;
  for (let i = now.nextFrame; i < now.frames; i++) {
    const frame = frameAt(i);
    if (frame.target != target || frame.mark == LISTED) continue;
    frame.mark = LISTED;
    store<u32>(TARGET_LIST_BASE + (listed << 2), i);
    listed += 1;
  }
  now.targetCount = listed;
}

/** Joins frames of the target's list (GRO), where its guest takes such. */
function joinTarget(now: Batch): void {
  const ring = ringAt(now.targetRing);
  if ((ring.flags & RING_F_GRO) == 0 || now.targetCount < 2) return;
  const left = joinFrames(now.targetList, now.targetCount, ring.offloads);
  now.joinedLeft = now.targetCount - left;
  now.targetList = TARGET_LIST_BASE;
  now.targetCount = left;
}
