// The firmware of a network processor: what the host calls, and the turn.
//
//   turn = for some transmit rings: inhale → classify → deliver per target → complete;  then notify
//
// A missing window returns TURN_MISSED from wherever it was; the next call goes on from there.
import { BATCH_MAX, QUEUE_COUNT_MAX } from '../layout/limits';
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
import { frameAt, TARGET_DROP, TARGET_FLOOD } from './headers/frame';
import { openTags } from './headers/tags';
import { control } from './memory/control';
import { vfAt } from './memory/vf-record';
import { complete, listInterrupts } from './net/complete';
import {
  addFlooded,
  deliverFlood,
  floodReplicas,
  isFloodCut,
  limitFlood,
  openFlood,
  resumeFlood,
} from './net/flood';
import { openJoined } from './net/joined';
import { takeLent } from './net/lend';
import { openMisses } from './net/misses';
import { deliver, isLockedOut } from './net/receive';
import { chainUntranslated } from './net/take-chain';
import { inhale, inhaledBytes, inhaleMissed } from './net/transmit';
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
import { noteBacklog, stepOf } from './scheduler/step';
import { batchCost } from './scheduler/work';
import { classify, TARGETS_DIFFER } from './switch/classify';
import { configureAgeing } from './switch/fdb-set';
import { classifyFlagged } from './switch/vlan';
import { configureLocks } from './virtqueue/lock';
import { armKicks, suppressKicks } from './virtqueue/notification';
import { NO_RING, Ring, ringAt, vfOf, viewAt } from './virtqueue/ring';

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

// Where the turn stands. A batch that waits for a window keeps all of this.
let batchRing: u32 = 0;
let batchFrames: u32 = 0;
let batchBytes: u32 = 0;
/** As many of them a target gets before it hears of them. */
let stepFrames: u32 = 0;
let targetRing: u32 = 0;
let targetList: u32 = 0;
/** All frames of the batch go to one receive ring. */
let isUniform: bool = false;
let targetCount: u32 = 0;
let targetDone: u32 = 0;
let nextFrame: u32 = 0;
/** What the batch waits for: a window, a ring's lock, or that what is only lent has been sent. */
let waitsFor: u32 = TURN_MISSED;

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

/** Host: there is news of a VF's translations. */
export function unparkRings(vf: u32): void {
  for (let ring = vf * QUEUE_COUNT_MAX; ring < (vf + 1) * QUEUE_COUNT_MAX; ring++) {
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
  if (batchFrames != 0) {
    // What waited has taken its time: it is a turn by itself, whatever else there is to do.
    if (!deliverBatch()) return TURN_WORKED | waitsFor;
    renewDetours();
    leaveRing();
    return endTurn(TURN_WORKED, whom);
  }
  openTurn();
  let flags: u32 = TURN_IDLE;
  for (let ring = nextRing(); ring != NO_RING; ring = nextRing()) {
    const frames = inhale(ring);
    if (inhaleMissed) spendMiss();
    if (frames != 0) {
      openBatch(ring, frames);
      if (!deliverBatch()) return TURN_WORKED | waitsFor;
      flags = TURN_WORKED;
    } else if (chainUntranslated) {
      parkRing();
      continue; // another ring stands here now
    }
    leaveRing();
    // The ring's next turn finds the window mapped; the other rings need not wait for it.
    if (inhaleMissed) return endTurn(TURN_WORKED | TURN_MISSED, whom);
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
  return batchFrames != 0;
}

/** Host: in the midst of a batch for this receiver, whether it keeps anybody else waiting. */
export function othersWait(receiver: u32): bool {
  return hasWorkBeside(vfOf(batchRing), receiver);
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

function openBatch(ring: u32, frames: u32): void {
  const isDraining = viewAt(ring).state == RING_DISABLED;
  const vf = vfOf(ring);
  const flags = u32(vfAt(vf).flags);
  openTags((flags & VF_F_VLAN) != 0);
  const common =
    flags != 0 ? classifyFlagged(vf, frames, isDraining) : classify(vf, frames, isDraining);
  batchRing = ring;
  batchFrames = frames;
  batchBytes = inhaledBytes;
  openMisses();
  targetDone = 0;
  openFlood(frames);
  isUniform = common != TARGETS_DIFFER && ringAt(ring).floodNext == 0;
  if (!isUniform) openMixedBatch(ringAt(ring), frames);
  stepFrames = stepOf(batchFrames, batchBytes);
  if (!isUniform) return;
  // The frequent case: one list of all frames, and nothing to look for behind it.
  targetRing = common;
  targetList = WHOLE_LIST_BASE;
  targetCount = frames;
  nextFrame = frames;
  joinTarget();
}

/** The frames go to several targets, or to everybody: those may be fewer than were taken. */
function openMixedBatch(ring: Ring, frames: u32): void {
  targetList = TARGET_LIST_BASE;
  targetCount = 0;
  nextFrame = 0;
  const floodNext = ring.floodNext;
  const left = limitFlood(floodNext != 0 ? 1 : frames);
  if (floodNext == 0 && left == frames) return;
  noteBacklog(true);
  openFlood(left);
  if (floodNext != 0) resumeFlood(floodNext);
  ring.floodNext = 0;
  batchFrames = left;
  batchBytes = 0;
  for (let i: u32 = 0; i < left; i++) batchBytes += frameAt(i).length;
}

/**
 * Delivers target by target, then what is flooded. False if it waits: for a window, or until what
 * is lent has been sent, since its sender gets the buffers back when the batch completes.
 */
function deliverBatch(): bool {
  for (;;) {
    if (targetDone < targetCount) {
      const end = min(targetCount, targetDone + stepFrames);
      targetDone = deliver(targetRing, targetList, targetDone, end);
      if (targetDone < end) return pause(takeLent());
      continue; // with the next step, if there is one
    }
    if (!nextTarget()) break;
  }
  if (!deliverFlood(batchRing)) return pause(takeLent());
  if (takeLent()) return pause(true);
  spend(batchCost(batchFrames, batchBytes));
  if (!isFloodCut) complete(batchRing, batchFrames, batchBytes, floodReplicas, isUniform);
  batchFrames = 0;
  return true;
}

/** Says what the batch waits for. Always false: it is not done. */
function pause(isLent: bool): bool {
  waitsFor = isLent ? TURN_LENT : isLockedOut ? TURN_LOCKED : TURN_MISSED;
  return false;
}

/** Lists the frames of the next target that has any. Flooded ones are set aside. */
function nextTarget(): bool {
  targetCount = 0;
  targetDone = 0;
  for (; nextFrame < batchFrames; nextFrame++) {
    const frame = frameAt(nextFrame);
    if (frame.mark == LISTED) continue;
    if (frame.target == TARGET_FLOOD) {
      addFlooded(nextFrame);
      continue;
    }
    if (frame.target >= TARGET_DROP) continue;
    targetRing = frame.target;
    listTarget();
    joinTarget();
    nextFrame += 1;
    return true;
  }
  return false;
}

function listTarget(): void {
  for (let i = nextFrame; i < batchFrames; i++) {
    const frame = frameAt(i);
    if (frame.target != targetRing || frame.mark == LISTED) continue;
    frame.mark = LISTED;
    store<u32>(TARGET_LIST_BASE + (targetCount << 2), i);
    targetCount += 1;
  }
}

/** Joins frames of the target's list, where its guest takes such. */
function joinTarget(): void {
  const ring = ringAt(targetRing);
  if ((ring.flags & RING_F_GRO) == 0 || targetCount < 2) return;
  const left = joinFrames(targetList, targetCount, ring.offloads);
  openJoined(targetCount - left);
  targetList = TARGET_LIST_BASE;
  targetCount = left;
}
