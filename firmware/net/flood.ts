// Flooded frames: broadcasts, multicasts, and frames to unknown destinations. They are set aside
// while the other frames of their batch are delivered, and then go to one port after another.
//
//   cost of all copies ≤ FLOOD_COST_MAX   a batch of many, port by port
//   one frame alone costs more            some ports now; the frame stays in its ring, and the next
//                                         batch continues at the next port (floodNext)
import { COUNTER_REPLICAS, DROP_NO_DESTINATION } from '../../layout/counters';
import { COPY_BYTES_SHIFT, COPY_COST, FLOOD_COST_MAX } from '../../layout/limits';
import { FLOOD_LIST_BASE } from '../../layout/memory';
import { count } from '../counters/counters';
import { Batch, batch, NO_RING } from '../headers/batch';
import { Frame, frameAt, TARGET_DROP, TARGET_FLOOD } from '../headers/frame';
import { tagOf, vlanOf } from '../headers/tags';
import { isMember, isVlanPort } from '../memory/port-record';
import { segmentCount } from '../offload/metadata';
import { isSuperFrame } from '../offload/segment';
import { copiesCost, floodCost } from '../scheduler/work';
import { receiveRing } from '../switch/classify';
import { placeOf, portAt, portCount } from '../switch/ports';
import { portOf, ringAt } from '../virtqueue/ring';
import { deliver } from './receive';

/**
 * Called with a batch whose first frame has gone to all ports before port `next`. Only this frame
 * continues, as a flood even if its destination has been learned since, so no port gets it twice.
 * All copies so far were counted as replicas, since the guest may reset the ring before the frame
 * is done. So the last batch of the frame counts one less.
 */
export function resumeFlood(next: u32): void {
  const now = batch();
  now.isFloodResumed = true;
  now.floodPort = placeOf(next);
  const frame = frameAt(0);
  if (frame.target < TARGET_DROP) frame.target = TARGET_FLOOD;
  if (frame.target == TARGET_FLOOD) now.floodReplicas = -1;
}

/**
 * How many frames the batch may keep, so that their copies cost no more than a batch may. The
 * others stay in the guest. Clears the marks of all frames.
 */
export function limitFlood(frames: u32): u32 {
  let cost: u32 = 0;
  for (let i: u32 = 0; i < frames; i++) {
    const frame = frameAt(i);
    frame.mark = 0;
    if (frame.target != TARGET_FLOOD) continue;
    const copies = isSuperFrame(frame) ? segmentCount(frame) : 1;
    cost += portCount() * (copies * COPY_COST + (frame.length >> COPY_BYTES_SHIFT));
    if (floodCost(cost) > FLOOD_COST_MAX) return max(i, 1);
  }
  return frames;
}

/** Sets frame `index` aside. */
export function addFlooded(index: u32): void {
  const now = batch();
  store<u32>(FLOOD_LIST_BASE + (now.floodCount << 2), index);
  now.floodCount += 1;
}

/**
 * Delivers the flooded frames of the batch port by port, consecutive frames for one ring together.
 * False if it waits for a window or a lock.
 */
export function deliverFlood(): bool {
  const now = batch();
  if (now.floodCount == 0) return true;
  for (; now.floodPort < portCount(); now.floodPort++) {
    const port = portAt(now.floodPort);
    if (port == portOf(now.ring)) continue;
    if (!deliverToPort(now, port)) return false;
    now.floodFrame = 0;
    if (now.floodPort + 1 < portCount() && mayCut(now)) {
      cutFlood(now, port + 1);
      return true;
    }
  }
  settleFlood(now);
  return true;
}

/** A frame that has gone nowhere yet is not cut: the first of its copies is the frame itself. */
function mayCut(now: Batch): bool {
  if (!now.isAlone || copiesCost() <= FLOOD_COST_MAX) return false;
  return now.isFloodResumed || floodedAt(0).mark != 0;
}

function deliverToPort(now: Batch, port: u32): bool {
  while (now.floodFrame < now.floodCount) {
    const isWaiting = now.floodRing != NO_RING;
    const ring = isWaiting ? now.floodRing : floodRing(port, now.floodFrame);
    const end = isWaiting ? now.floodFrame + 1 : endOfRun(port, ring);
    now.floodRing = NO_RING;
    if (ring == NO_RING) {
      now.floodFrame = end; // not in the VLAN, or down since the decision
      continue;
    }
    const reached = deliver(ring, FLOOD_LIST_BASE, now.floodFrame, end);
    noteCopies(now.floodFrame, reached);
    now.floodFrame = reached;
    if (reached < end) {
      now.floodRing = ring;
      return false;
    }
  }
  return true;
}

/** Leaves the remaining ports to a later batch, so that other rings get their turn first. */
function cutFlood(now: Batch, next: u32): void {
  now.isFloodCut = true;
  ringAt(now.ring).floodNext = u16(next);
  count(now.ring, COUNTER_REPLICAS, floodedAt(0).mark);
}

function floodedAt(place: u32): Frame {
  return frameAt(load<u32>(FLOOD_LIST_BASE + (place << 2)));
}

/** The receive ring of a port for a flooded frame; NO_RING if the frame is not for the port. */
function floodRing(port: u32, place: u32): u32 {
  if (isVlanPort(port) != batch().isInVlans) return NO_RING;
  const frame = floodedAt(place);
  if (batch().isInVlans && !isMember(port, vlanOf(tagOf(frame)))) return NO_RING;
  return receiveRing(port, frame);
}

function endOfRun(port: u32, ring: u32): u32 {
  let end = batch().floodFrame + 1;
  while (end < batch().floodCount && floodRing(port, end) == ring) end++;
  return end;
}

/**
 * `mark` counts the copies of a flooded frame. The first is the frame itself, others are replicas.
 */
function noteCopies(from: u32, to: u32): void {
  for (let place = from; place < to; place++) {
    const frame = floodedAt(place);
    if (frame.mark != 0 || batch().isFloodResumed) batch().floodReplicas += 1;
    frame.mark += 1;
  }
}

function settleFlood(now: Batch): void {
  for (let place: u32 = 0; place < now.floodCount; place++) {
    const frame = floodedAt(place);
    if (frame.mark == 0 && !now.isFloodResumed) frame.target = TARGET_DROP + DROP_NO_DESTINATION;
  }
}
