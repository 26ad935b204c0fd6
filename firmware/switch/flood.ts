// Frames for everybody: those whose destination nobody has learned, broadcasts, multicasts. They
// are set aside while the others of their batch are delivered, and then go to port after port.
import { DROP_NO_DESTINATION } from '../../layout/counters';
import { FLOOD_LIST_BASE } from '../../layout/memory';
import { deliver } from '../vf/receive';
import { NO_RING, vfOf } from '../virtqueue/ring';
import { Frame, frameAt, TARGET_DROP } from '../wire/frame';
import { isMember, isVlanPort } from '../wire/port';
import { isInVlans, tagOf, vlanOf } from '../wire/tags';
import { receiveRing } from './classify';
import { portAt, portCount } from './ports';

// Where the delivery stands. A batch that waits for a window keeps all of this.
let floodCount: u32 = 0;
let floodPort: u32 = 0;
let floodFrame: u32 = 0;
/** Copies that the batch's frames became beyond themselves. */
export let floodReplicas: u32 = 0;
/**
 * The receive ring of the flooded frame that waits for a window. What was decided for it holds,
 * whatever the port has become meanwhile: it may be half delivered.
 */
let floodWaits: u32 = NO_RING;

/** With a new batch. */
export function openFlood(): void {
  floodCount = 0;
  floodPort = 0;
  floodFrame = 0;
  floodReplicas = 0;
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
  }
  settleFlood();
  floodCount = 0; // settled once, also where the batch waits for a loan
  return true;
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
    if (frame.mark != 0) floodReplicas += 1;
    frame.mark += 1;
  }
}

function settleFlood(): void {
  for (let place: u32 = 0; place < floodCount; place++) {
    const frame = floodedAt(place);
    if (frame.mark == 0) frame.target = TARGET_DROP + DROP_NO_DESTINATION;
  }
}
