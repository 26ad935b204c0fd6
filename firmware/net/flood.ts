// Frames for everybody: those whose destination nobody has learned, broadcasts, multicasts. They
// are set aside while the others of their batch are delivered, and then go to port after port.
//
//   cost of all copies ≤ FLOOD_COST_MAX   a batch of many, port by port
//   one frame alone costs more            some ports now; the frame stays in its ring, whose next
//                                         batch goes on with it behind them (floodNext)
import { COUNTER_REPLICAS, DROP_NO_DESTINATION } from '../../layout/counters';
import { COPY_BYTES_SHIFT, COPY_COST, FLOOD_COST_MAX } from '../../layout/limits';
import { FLOOD_LIST_BASE } from '../../layout/memory';
import { count } from '../counters/counters';
import { Frame, frameAt, TARGET_DROP, TARGET_FLOOD } from '../headers/frame';
import { isInVlans, tagOf, vlanOf } from '../headers/tags';
import { isMember, isVlanPort } from '../memory/vf-record';
import { segmentCount } from '../offload/metadata';
import { isSuperFrame } from '../offload/segment';
import { copiesCost } from '../scheduler/work';
import { receiveRing } from '../switch/classify';
import { placeOf, portAt, portCount } from '../switch/ports';
import { NO_RING, ringAt, vfOf } from '../virtqueue/ring';
import { deliver } from './receive';

// Where the delivery stands. A batch that waits for a window keeps all of this.
let floodCount: u32 = 0;
let floodPort: u32 = 0;
let floodFrame: u32 = 0;
/** Copies that the batch's frames became beyond themselves. −1: see `resumeFlood`. */
export let floodReplicas: i32 = 0;
/**
 * The receive ring of the flooded frame that waits for a window. What was decided for it holds,
 * whatever the port has become meanwhile: it may be half delivered.
 */
let floodWaits: u32 = NO_RING;
/** The batch is one frame, which some of the ports have got in batches before. */
let isResumed: bool = false;
/** The batch is one frame: it may stop between two ports. */
let isAlone: bool = false;
/** It has stopped there: it stays in its ring, and a later batch goes on. */
export let isFloodCut: bool = false;

/** With a new batch. */
export function openFlood(frames: u32): void {
  floodCount = 0;
  floodPort = 0;
  floodFrame = 0;
  floodReplicas = 0;
  isFloodCut = false;
  isResumed = false;
  isAlone = frames == 1;
}

/**
 * With a batch whose first frame has gone to all ports before VF `next`. Only this frame goes on,
 * and as a flood even if its destination has been learned since: nobody gets it twice. Its copies
 * so far were all counted as replicas, since its guest may reset the ring before the frame is done.
 * So its last batch counts one less.
 */
export function resumeFlood(next: u32): void {
  isResumed = true;
  floodPort = placeOf(next);
  const frame = frameAt(0);
  if (frame.target < TARGET_DROP) frame.target = TARGET_FLOOD;
  if (frame.target == TARGET_FLOOD) floodReplicas = -1;
}

/**
 * How many of the frames the batch may keep, so that their copies cost no more than a batch may.
 * The others stay in their guest. Sets the marks of all to 0.
 */
export function limitFlood(frames: u32): u32 {
  let cost: u32 = 0;
  for (let i: u32 = 0; i < frames; i++) {
    const frame = frameAt(i);
    frame.mark = 0;
    if (frame.target != TARGET_FLOOD) continue;
    const copies = isSuperFrame(frame) ? segmentCount(frame) : 1;
    cost += portCount() * (copies * COPY_COST + (frame.length >> COPY_BYTES_SHIFT));
    if (cost > FLOOD_COST_MAX) return max(i, 1);
  }
  return frames;
}

/** Sets the frame with this number aside. */
export function addFlooded(index: u32): void {
  store<u32>(FLOOD_LIST_BASE + (floodCount << 2), index);
  floodCount += 1;
}

/**
 * Delivers the flooded frames of the ring's batch port by port, each run of frames for one ring at
 * once. False if it waits for a window.
 */
export function deliverFlood(sender: u32): bool {
  if (floodCount == 0) return true;
  for (; floodPort < portCount(); floodPort++) {
    const port = portAt(floodPort);
    if (port == vfOf(sender)) continue;
    while (floodFrame < floodCount) {
      const isWaiting = floodWaits != NO_RING;
      const ring = isWaiting ? floodWaits : floodRing(port, floodFrame);
      const end = isWaiting ? floodFrame + 1 : endOfRun(port, ring);
      floodWaits = NO_RING;
      if (ring == NO_RING) {
        floodFrame = end; // not in the VLAN, or down since the decision
        continue;
      }
      const reached = deliver(ring, FLOOD_LIST_BASE, floodFrame, end);
      noteCopies(floodFrame, reached);
      floodFrame = reached;
      if (reached < end) {
        floodWaits = ring;
        return false;
      }
    }
    floodFrame = 0;
    if (isAlone && copiesCost() > FLOOD_COST_MAX && floodPort + 1 < portCount()) {
      cutFlood(sender, port + 1);
      return true;
    }
  }
  settleFlood();
  floodCount = 0; // settled once, also where the batch waits for a loan
  return true;
}

/** The rest of the ports is for another batch, after those of other rings. */
function cutFlood(sender: u32, next: u32): void {
  isFloodCut = true;
  ringAt(sender).floodNext = u16(next);
  count(sender, COUNTER_REPLICAS, floodedAt(0).mark);
  floodCount = 0;
}

function floodedAt(place: u32): Frame {
  return frameAt(load<u32>(FLOOD_LIST_BASE + (place << 2)));
}

/** The receive ring of a port for a flooded frame; NO_RING if the frame is not for the port. */
function floodRing(port: u32, place: u32): u32 {
  if (isVlanPort(port) != isInVlans) return NO_RING;
  const frame = floodedAt(place);
  if (isInVlans && !isMember(port, vlanOf(tagOf(frame)))) return NO_RING;
  return receiveRing(port, frame);
}

function endOfRun(port: u32, ring: u32): u32 {
  let end = floodFrame + 1;
  while (end < floodCount && floodRing(port, end) == ring) end++;
  return end;
}

/**
 * `mark` counts the copies of a flooded frame: the first is the frame itself, the others are
 * replicas.
 */
function noteCopies(from: u32, to: u32): void {
  for (let place = from; place < to; place++) {
    const frame = floodedAt(place);
    if (frame.mark != 0 || isResumed) floodReplicas += 1;
    frame.mark += 1;
  }
}

function settleFlood(): void {
  for (let place: u32 = 0; place < floodCount; place++) {
    const frame = floodedAt(place);
    if (frame.mark == 0 && !isResumed) frame.target = TARGET_DROP + DROP_NO_DESTINATION;
  }
}
