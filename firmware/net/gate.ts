// Frames whose receiver may not have more at the moment (scheduler/reception), or has no buffers.
// The batch ends before the first of them, and the rest waits in its ring (scheduler/waits); or
// they are dropped where they would be delivered.
import { NO_PORT } from '../../layout/port';
import { RING_F_MERGEABLE } from '../../layout/virtqueue';
import { BATCH_FLOOD, Batch, batch, NO_RING } from '../headers/batch';
import { Frame, frameAt, TARGET_DROP } from '../headers/frame';
import { portRecordAt } from '../memory/port-record';
import { repeatedBytes, segmentCount } from '../offload/metadata';
import { isSuperFrame } from '../offload/segment';
import { nodeAt, Promised, promiseOf } from '../scheduler/node';
import { closedUntil, isLimited, payReception } from '../scheduler/reception';
import { hasBuffers } from '../scheduler/room';
import { isForGuarantee, schedule } from '../scheduler/schedule';
import { hasTurn, payTurn } from '../scheduler/uplink-turns';
import { beginWait, endWait, hasPatience, NO_UPLINK } from '../scheduler/waits';
import { functionOf, portOf, ringAt } from '../virtqueue/ring';

export function wirePackets(frame: Frame): u32 {
  return isSuperFrame(frame) ? segmentCount(frame) : 1;
}

export function wireBytes(frame: Frame): u32 {
  return frame.length + repeatedBytes(frame, wirePackets(frame));
}

/** Frames that are not longer take one buffer of a receiver, whatever its driver posts. */
const ONE_BUFFER: u32 = 1514;

/** What keeps a frame from going to its receiver. */
const GO: u32 = 0;
/** It may not receive more, or it is not this sender's turn. */
const CLOSED: u32 = 1;
/** It has no buffers. */
const FULL: u32 = 2;

/**
 * How many frames of the batch may go now. If that is none, the ring waits. `common`: the target of
 * all, if `isUniform`.
 */
export function admit(now: Batch, common: u32, isUniform: bool): u32 {
  // An uplink's frames are in the NIC already, and cannot wait.
  const mayWait = !isUplink(portOf(now.ring)) && !(isUniform && isOpen(now, common));
  if (mayWait) {
    schedule().admission += 1;
    for (let i: u32 = 0; i < now.frames; i++) {
      const target = isUniform ? common : frameAt(i).target;
      if (target >= TARGET_DROP) continue;
      const obstacle = obstacleOf(now, target, frameAt(i));
      if (obstacle == GO) continue;
      if (!maySenderWait(now, target, i == 0)) {
        nodeAt(functionOf(target)).admittedNs = -Infinity;
        continue;
      }
      if (i == 0) beginWaitFor(now, target, obstacle);
      else endWait(now.ring);
      return i;
    }
  }
  endWait(now.ring);
  return now.frames;
}

/** The common case: the one receiver of all frames has buffers, and no limit keeps any from it. */
function isOpen(now: Batch, target: u32): bool {
  if (target >= TARGET_DROP) return true;
  const receiver = functionOf(target);
  const promise = promiseOf(receiver);
  if (isLimited(promise) && (isUplink(portOf(target)) || !mayHaveAll(receiver, promise))) {
    return false;
  }
  return now.longest <= ONE_BUFFER && hasBuffers(target, now.frames);
}

/** Whether a function may receive all frames of the batch; so none needs to be asked for. */
function mayHaveAll(receiver: u32, promise: Promised): bool {
  const now = batch();
  const open = schedule().clock - closedUntil(receiver, promise);
  return timeOf(promise, now.wireBytes, now.wirePackets) < open;
}

function isUplink(port: u32): bool {
  return port != NO_PORT && portRecordAt(port).isUplink != 0;
}

function obstacleOf(now: Batch, target: u32, frame: Frame): u32 {
  const receiver = functionOf(target);
  const node = nodeAt(receiver);
  const state = schedule();
  if (node.admission != state.admission) {
    node.admission = state.admission;
    node.admittedNs = 0;
    node.admittedRing = NO_RING;
  }
  if (node.admittedRing != target) {
    node.admittedRing = target;
    node.admittedBuffers = 0;
  }
  // All that this batch has for it goes, to be dropped by name.
  if (node.admittedNs < 0) return GO;
  const port = portOf(target);
  const isVf = !isUplink(port);
  const promise = promiseOf(receiver);
  if (isLimited(promise)) {
    const open = state.clock - closedUntil(receiver, promise) - node.admittedNs;
    if (open <= 0) return CLOSED;
    if (!isVf && !hasTurn(port, functionOf(now.ring), open, promise)) return CLOSED;
    node.admittedNs += timeOf(promise, wireBytes(frame), wirePackets(frame));
  }
  if (!isVf) return GO;
  node.admittedBuffers += buffersFor(target, frame);
  return hasBuffers(target, node.admittedBuffers) ? GO : FULL;
}

/** Buffers of the receiver that a frame takes, as far as it is worth knowing here. */
function buffersFor(target: u32, frame: Frame): u32 {
  if (!(ringAt(target).flags & RING_F_MERGEABLE)) return 1;
  return 1 + (max(frame.length, 1) - 1) / ONE_BUFFER;
}

/** If not, all that the batch has for this receiver goes, to be dropped there. */
function maySenderWait(now: Batch, target: u32, isFirst: bool): bool {
  return isUplink(portOf(target)) || hasPatience(now.ring, functionOf(target), isFirst);
}

function beginWaitFor(now: Batch, target: u32, obstacle: u32): void {
  const port = portOf(target);
  const uplink = isUplink(port) ? port : NO_UPLINK;
  beginWait(now.ring, functionOf(target), uplink, obstacle == FULL ? target : NO_RING);
}

function timeOf(promise: Promised, bytes: u32, packets: u32): f64 {
  const wire = f64(bytes) + f64(packets) * f64(promise.rxOverhead);
  return max(wire * promise.rxByteNs, f64(packets) * promise.rxPacketNs);
}

/** At a receiver: how far in the list of frames it may receive at the moment. */
export function receivable(ring: u32, list: u32, start: u32, frames: u32): u32 {
  const receiver = functionOf(ring);
  const promise = promiseOf(receiver);
  // Copies of floods were not asked before.
  const asksTurn = batch().state == BATCH_FLOOD && isUplink(portOf(ring));
  if (!asksTurn && mayHaveAll(receiver, promise)) return frames;
  let until = closedUntil(receiver, promise);
  let i = start;
  for (; i < frames && until < schedule().clock; i++) {
    if (asksTurn && !isTurnOf(ring, schedule().clock - until, promise)) break;
    const frame = listedAt(list, i);
    until += timeOf(promise, wireBytes(frame), wirePackets(frame));
  }
  return i;
}

function isTurnOf(uplinkRing: u32, open: f64, promise: Promised): bool {
  return hasTurn(portOf(uplinkRing), functionOf(batch().ring), open, promise);
}

/** A receiver pays for these frames of the list. */
export function payReceived(ring: u32, list: u32, start: u32, end: u32): void {
  let bytes: u32 = 0;
  let packets: u32 = 0;
  for (let i = start; i < end; i++) {
    const frame = listedAt(list, i);
    const parts = wirePackets(frame);
    packets += parts;
    bytes += frame.length + repeatedBytes(frame, parts);
  }
  if (packets == 0) return;
  const receiver = functionOf(ring);
  payReception(receiver, bytes, packets);
  const port = portOf(ring);
  if (!isUplink(port)) return;
  const sender = functionOf(batch().ring);
  payTurn(port, sender, timeOf(promiseOf(receiver), bytes, packets), isForGuarantee());
}

function listedAt(list: u32, place: u32): Frame {
  return frameAt(load<u32>(list + (place << 2)));
}
