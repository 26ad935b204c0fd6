// Frames whose receiver may not have more at the moment: see scheduler/reception. The batch ends
// before the first of them, and the rest waits in its ring; or they are dropped where they would be
// delivered.
import { NO_PORT } from '../../layout/port';
import { Batch } from '../headers/batch';
import { Frame, frameAt, TARGET_DROP } from '../headers/frame';
import { portRecordAt } from '../memory/port-record';
import { repeatedBytes, segmentCount } from '../offload/metadata';
import { isSuperFrame } from '../offload/segment';
import { nodeAt, Promised, promiseOf } from '../scheduler/node';
import { closedUntil, isLimited, payReception } from '../scheduler/reception';
import { schedule } from '../scheduler/schedule';
import { beginWait, endWait, hasPatience } from '../scheduler/waits';
import { functionOf, portOf } from '../virtqueue/ring';

export function wirePackets(frame: Frame): u32 {
  return isSuperFrame(frame) ? segmentCount(frame) : 1;
}

export function wireBytes(frame: Frame): u32 {
  return frame.length + repeatedBytes(frame, wirePackets(frame));
}

/**
 * How many frames of the batch may go now. If that is none, the ring waits. `common`: the target of
 * all, if `isUniform`.
 */
export function admit(now: Batch, common: u32, isUniform: bool): u32 {
  if (isUniform && (common >= TARGET_DROP || !isLimited(promiseOf(functionOf(common))))) {
    return now.frames;
  }
  // An uplink's frames are in the NIC already, and cannot wait.
  if (isUplink(portOf(now.ring))) return now.frames;
  schedule().admission += 1;
  for (let i: u32 = 0; i < now.frames; i++) {
    const target = isUniform ? common : frameAt(i).target;
    if (target >= TARGET_DROP) continue;
    const receiver = functionOf(target);
    const promise = promiseOf(receiver);
    if (!isLimited(promise) || mayReceive(receiver, promise, frameAt(i))) continue;
    if (i != 0) return i;
    const isPatient = isUplink(portOf(target));
    if (!isPatient && !hasPatience(now.ring, receiver)) {
      // All that this batch has for it goes, to be dropped by name.
      nodeAt(receiver).admittedNs = -Infinity;
      continue;
    }
    beginWait(now.ring, receiver, isPatient);
    return 0;
  }
  endWait(now.ring);
  return now.frames;
}

function isUplink(port: u32): bool {
  return port != NO_PORT && portRecordAt(port).isUplink != 0;
}

/** Counts what this batch has for the function already. */
function mayReceive(receiver: u32, promise: Promised, frame: Frame): bool {
  const state = schedule();
  const node = nodeAt(receiver);
  if (node.admission != state.admission) {
    node.admission = state.admission;
    node.admittedNs = 0;
  }
  if (closedUntil(receiver, promise) + node.admittedNs >= state.clock) return false;
  node.admittedNs += timeOf(promise, wireBytes(frame), wirePackets(frame));
  return true;
}

function timeOf(promise: Promised, bytes: u32, packets: u32): f64 {
  const wire = f64(bytes) + f64(packets) * f64(promise.rxOverhead);
  return max(wire * promise.rxByteNs, f64(packets) * promise.rxPacketNs);
}

/** At a receiver: how far in the list of frames it may receive at the moment. */
export function receivable(ring: u32, list: u32, start: u32, frames: u32): u32 {
  const receiver = functionOf(ring);
  const promise = promiseOf(receiver);
  let until = closedUntil(receiver, promise);
  let i = start;
  for (; i < frames && until < schedule().clock; i++) {
    const frame = listedAt(list, i);
    until += timeOf(promise, wireBytes(frame), wirePackets(frame));
  }
  return i;
}

/** A receiver pays for these frames of the list. */
export function payReceived(ring: u32, list: u32, start: u32, end: u32): void {
  let bytes: u32 = 0;
  let packets: u32 = 0;
  for (let i = start; i < end; i++) {
    bytes += wireBytes(listedAt(list, i));
    packets += wirePackets(listedAt(list, i));
  }
  if (packets != 0) payReception(functionOf(ring), bytes, packets);
}

function listedAt(list: u32, place: u32): Frame {
  return frameAt(load<u32>(list + (place << 2)));
}
