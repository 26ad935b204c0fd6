// Serves a transmit ring, from taking its frames to returning its buffers:
//
//   inhale ─► classify ─► join, deliver: target by target ─► flood ─► complete
//
// If the batch has to wait, its record says where to resume (headers/batch.ts).
import { FRAME_COST } from '../../layout/limits';
import { TARGET_LIST_BASE, WHOLE_LIST_BASE } from '../../layout/memory';
import { PORT_F_VLAN } from '../../layout/port';
import { TURN_LENT, TURN_LOCKED, TURN_MISSED } from '../../layout/processor';
import { RING_DISABLED, RING_F_GRO } from '../../layout/virtqueue';
import {
  BATCH_DELIVERED,
  BATCH_FLOOD,
  BATCH_NONE,
  BATCH_TARGETS,
  Batch,
  batch,
} from '../headers/batch';
import { frameAt, TARGET_DROP, TARGET_FLOOD } from '../headers/frame';
import { portRecordAt } from '../memory/port-record';
import { joinFrames } from '../offload/gro';
import {
  SERVED_EMPTIED,
  SERVED_HELD,
  SERVED_MISSED,
  SERVED_NOTHING,
  SERVED_PARKS,
  SERVED_WAITS,
  SERVED_WORK,
} from '../scheduler/served';
import { stepOf } from '../scheduler/step';
import { blurWork, spend, spendMiss } from '../scheduler/turns';
import { endWait, payWait } from '../scheduler/waits';
import { batchCost, floodCost, learnFlood } from '../scheduler/work';
import { classify, TARGETS_DIFFER } from '../switch/classify';
import { classifyFlagged } from '../switch/vlan';
import { portOf, Ring, ringAt, viewAt } from '../virtqueue/ring';
import { complete } from './complete';
import { addFlooded, deliverFlood, limitFlood, resumeFlood } from './flood';
import { admit, wireBytes, wirePackets } from './gate';
import { takeLent } from './lend';
import { deliver } from './receive';
import { inhale } from './transmit';

/** Marks frames that are already on a target's list. */
const LISTED: u32 = 1;

/** Takes a batch of frames and delivers it. Returns SERVED_ flags. */
export function serveFrames(ring: u32): u32 {
  const now = batch();
  payWait(ring); // what follows may take long, and its receiver does not pay for that
  const frames = inhale(ring);
  let served = SERVED_NOTHING;
  if (now.hasMissed) {
    spendMiss();
    served = SERVED_MISSED;
  }
  if (frames == 0) {
    endWait(ring); // the frame that waited is gone, or waits for something else
    if (now.hasPageWait) {
      spend(0, 0, false, 0, 0);
      return SERVED_WORK; // and the ring has more
    }
    return now.isUntranslated ? SERVED_PARKS : served;
  }
  if (!decide(now)) {
    // Its receiver may not have more yet. What it took to find that out is its sender's.
    spend(frames * FRAME_COST, 0, false, 0, 0);
    return served | SERVED_HELD;
  }
  return served | deliverOn(now);
}

/** Resumes the batch that waited. SERVED_WAITS if it waits again: see `waitsFor` in its record. */
export function resumeFrames(): u32 {
  return deliverOn(batch());
}

function deliverOn(now: Batch): u32 {
  if (!deliverBatch(now)) return SERVED_WAITS;
  return now.hasBacklog || now.isFloodCut ? SERVED_WORK : SERVED_WORK | SERVED_EMPTIED;
}

/** Decides where the frames go. False if the first of them has to wait for its receiver. */
function decide(now: Batch): bool {
  const port = portOf(now.ring);
  const ring = ringAt(now.ring);
  const isDraining = viewAt(now.ring).state == RING_DISABLED;
  const flags = u32(portRecordAt(port).flags);
  now.isInVlans = (flags & PORT_F_VLAN) != 0;
  const common =
    flags != 0
      ? classifyFlagged(port, now.frames, isDraining)
      : classify(port, now.frames, isDraining);
  if (ring.floodNext == 0) {
    const admitted = admit(now, common, common != TARGETS_DIFFER);
    if (admitted == 0) return false;
    if (admitted < now.frames) keepFrames(now, admitted);
  }
  now.state = BATCH_TARGETS;
  now.isAlone = now.frames == 1;
  now.isUniform = common != TARGETS_DIFFER && ring.floodNext == 0;
  if (!now.isUniform) openMixedBatch(now, ring);
  now.stepFrames = stepOf(now.frames, now.bytes);
  if (!now.isUniform) return true;
  // The common case: one list of all frames, and no other target to look for.
  now.targetRing = common;
  now.targetList = WHOLE_LIST_BASE;
  now.targetCount = now.frames;
  now.nextFrame = now.frames;
  joinTarget(now);
  return true;
}

/** Several targets, or a flood, which may keep only some of the frames in the batch. */
function openMixedBatch(now: Batch, ring: Ring): void {
  now.targetList = TARGET_LIST_BASE;
  const floodNext = ring.floodNext;
  const left = limitFlood(floodNext != 0 ? 1 : now.frames);
  if (floodNext == 0 && left == now.frames) return;
  if (floodNext != 0) resumeFlood(floodNext);
  ring.floodNext = 0;
  keepFrames(now, left);
}

/** The batch keeps its first `left` frames; the others stay in their ring. */
function keepFrames(now: Batch, left: u32): void {
  now.hasBacklog = true;
  now.isAlone = left == 1;
  now.frames = left;
  now.bytes = 0;
  now.wireBytes = 0;
  now.wirePackets = 0;
  for (let i: u32 = 0; i < left; i++) {
    const frame = frameAt(i);
    now.bytes += frame.length;
    now.wireBytes += wireBytes(frame);
    now.wirePackets += wirePackets(frame);
  }
}

/**
 * Continues the batch where it stopped. False if it waits: for a window, a lock, or for lent frames
 * to be sent, since their sender gets the buffers back when the batch completes.
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
  settleAccount(now);
  if (!now.isFloodCut) {
    complete(now.ring, now.frames, now.bytes, now.floodReplicas, now.isUniform);
  }
  now.state = BATCH_NONE;
  return true;
}

function settleAccount(now: Batch): void {
  const isFlood = now.floodCount != 0;
  const isPlain = now.isUniform && now.copies <= now.frames && now.walkedSteps + now.misses == 0;
  const model = batchCost(now.frames, now.bytes);
  // A flood that goes on later is paid for as a frame with its last part.
  const bytes = now.isFloodCut ? 0 : now.wireBytes;
  const packets = now.isFloodCut ? 0 : now.wirePackets;
  const own = spend(isFlood ? floodCost(model) : model, now.misses, isPlain, bytes, packets);
  if (isFlood) learnFlood(own, model);
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

/** Records what the batch waits for. Always false: the batch is not done. */
function pause(now: Batch, isLent: bool): bool {
  if (isLent) blurWork();
  now.waitsFor = isLent ? TURN_LENT : now.isLockedOut ? TURN_LOCKED : TURN_MISSED;
  return false;
}

/** Lists the frames of the next target that has any. Flooded frames are set aside. */
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

/** Joins frames of the target's list (GRO), if its guest accepts super-frames. */
function joinTarget(now: Batch): void {
  const ring = ringAt(now.targetRing);
  if ((ring.flags & RING_F_GRO) == 0 || now.targetCount < 2) return;
  const left = joinFrames(now.targetList, now.targetCount, ring.offloads);
  now.joinedLeft = now.targetCount - left;
  now.targetList = TARGET_LIST_BASE;
  now.targetCount = left;
}
