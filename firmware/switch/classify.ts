// Decides where each frame of a batch goes, before anything is copied.
import {
  DROP_DESTINATION_DOWN,
  DROP_HAIRPIN,
  DROP_LINK_DOWN,
  DROP_LINK_LOCAL,
  DROP_NO_DESTINATION,
  DROP_QUEUE_DISABLED,
  DROP_SOURCE_ADDRESS,
} from '../../layout/counters';
import { PORT_F_LINK_DOWN, RECEIVE_BY_TABLE } from '../../layout/port';
import { destinationAt, isGroup, isLinkLocal, sourceAt } from '../headers/addresses';
import { NO_RING } from '../headers/batch';
import { Frame, frameAt, headerLength, TARGET_DROP, TARGET_FLOOD } from '../headers/frame';
import { portRecordAt, receiveRingAt } from '../memory/port-record';
import { flowHash, queueByTable } from '../offload/flow-hash';
import { isFilled } from '../virtqueue/filled';

import { learn, lookup, PORT_UNKNOWN } from './fdb';
import { hasOtherPort } from './ports';

/** Instead of a receive ring: `classify` returns it for a batch with several targets. */
export const TARGETS_DIFFER: u32 = 0xffffffff;

/**
 * Sets the target of each frame. `isDraining`: the ring is disabled and its frames are discarded.
 * Returns the receive ring that all frames go to, or TARGETS_DIFFER.
 */
export function classify(port: u32, frames: u32, isDraining: bool): u32 {
  if (isDraining) return drain(frames);
  // A burst usually has one source and one destination: only changes are looked up.
  let lastSource: u64 = 0;
  let lastTarget: u64 = u64.MAX_VALUE;
  let lastPort: i32 = PORT_UNKNOWN;
  let decision: u32 = 0;
  let isSpread = false;
  const first = frameAt(0);
  let differences: u32 = 0;
  for (let i: u32 = 0; i < frames; i++) {
    const frame = frameAt(i);
    if (frame.target == 0) {
      const target = destinationAt(i);
      const source = sourceAt(i);
      if (source != lastSource) {
        if (isGroup(source)) {
          frame.target = TARGET_DROP + DROP_SOURCE_ADDRESS;
          differences = 1;
          continue;
        }
        learn(source, port, target);
        lastSource = source;
      }
      if (target != lastTarget) {
        lastTarget = target;
        lastPort = isGroup(target) ? PORT_UNKNOWN : lookup(target);
        decision =
          lastPort == PORT_UNKNOWN ? flood(port, target) : unicast(port, u32(lastPort), frame);
        isSpread = lastPort != PORT_UNKNOWN && portRecordAt(u32(lastPort)).receiveCount > 1;
      }
      frame.target = isSpread ? unicast(port, u32(lastPort), frame) : decision;
    }
    differences |= frame.target ^ first.target;
  }
  return differences != 0 || first.target >= TARGET_DROP ? TARGETS_DIFFER : first.target;
}

function drain(frames: u32): u32 {
  for (let i: u32 = 0; i < frames; i++) {
    const frame = frameAt(i);
    if (frame.target == 0) frame.target = TARGET_DROP + DROP_QUEUE_DISABLED;
  }
  return TARGETS_DIFFER;
}

/** Called once per burst, like the lookup of a destination. */
function flood(port: u32, target: u64): u32 {
  if (isLinkLocal(target)) return TARGET_DROP + DROP_LINK_LOCAL;
  return hasOtherPort(port) ? TARGET_FLOOD : TARGET_DROP + DROP_NO_DESTINATION;
}

export function unicast(from: u32, port: u32, frame: Frame): u32 {
  if (port == from) return TARGET_DROP + DROP_HAIRPIN;
  const ring = receiveRing(port, frame);
  if (ring != NO_RING) return ring;
  // Behaves like a switch that has forgotten the address: another port may use it by now.
  return hasOtherPort(from) ? TARGET_FLOOD : TARGET_DROP + downReason(port);
}

function downReason(port: u32): u32 {
  return u32(portRecordAt(port).flags) & PORT_F_LINK_DOWN ? DROP_LINK_DOWN : DROP_DESTINATION_DOWN;
}

/** The receive ring of a port for a frame, by flow; NO_RING if none runs. */
export function receiveRing(port: u32, frame: Frame): u32 {
  const queues = portRecordAt(port).receiveCount;
  if (queues == 0) return NO_RING;
  if (queues == 1) return queueAt(port, 0);
  if (queues == RECEIVE_BY_TABLE) {
    return portRecordAt(port).firstRing + queueByTable(port, frame.header, headerLength(frame));
  }
  const hash = flowHash(frame.header, headerLength(frame));
  const ring = queueAt(port, share(hash, queues));
  return isFilled(ring) ? ring : otherRing(port, queues, hash, ring);
}

/**
 * For a flow whose receive ring has never had a buffer: another ring, which has, until its own gets
 * one. Flows of other rings stay where they are.
 */
function otherRing(port: u32, queues: u32, hash: u32, own: u32): u32 {
  let filled: u32 = 0;
  for (let place: u32 = 0; place < queues; place++) if (isFilled(queueAt(port, place))) filled += 1;
  let before = share(hash, filled);
  for (let place: u32 = 0; place < queues; place++) {
    const ring = queueAt(port, place);
    if (!isFilled(ring)) continue;
    if (before == 0) return ring;
    before -= 1;
  }
  return own; // none was ever filled: the frame is dropped there
}

/** Multiply-shift instead of modulo: no division. */
function share(hash: u32, parts: u32): u32 {
  return u32((u64(hash) * u64(parts)) >> 32);
}

function queueAt(port: u32, place: u32): u32 {
  return receiveRingAt(port, place);
}
