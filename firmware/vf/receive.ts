// Exhale: delivers a list of frames to one receive ring, guest to guest in a single copy.
//
// Split like inhale: all ring entries, then all descriptors, then the copies; one used-index store
// and one interrupt decision for all of them. A frame that needs a window stops the list there:
// what was delivered is published, the host maps the window, and the list goes on with that same
// frame.
import { COUNTER_DROPS, COUNTER_OFFERED, DROP_RING_STOPPED } from '../../layout/counters';
import { BATCH_MAX } from '../../layout/limits';
import { RX_DESCRIPTORS_BASE } from '../../layout/memory';
import {
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_FLAGS,
  DESCRIPTOR_LENGTH,
  PACKED_CHAIN_FLAGS,
  PACKED_ID,
  RING_ENABLED,
  RING_FAULT_AVAIL_INDEX,
  USED_ELEMENT_SIZE,
  USED_RING,
} from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { control } from '../memory/control';
import { copy } from '../memory/copy';
import { beginDelivery, translatePlain } from '../memory/windows';
import { faultRing } from '../virtqueue/fault';
import { lock, unlock } from '../virtqueue/lock';
import { availableFlags, packedDescriptor } from '../virtqueue/packed';
import { isPacked, putUsed } from '../virtqueue/queue';
import { Ring, RingView, ringAt, vfOf, viewAt } from '../virtqueue/ring';
import { availableCount, availableHead, descriptorAt } from '../virtqueue/split';
import { frameAt } from '../wire/frame';
import { isInVlans } from '../wire/tags';
import {
  closeDelivery,
  EMIT_DROPPED,
  EMIT_FAULTED,
  EMIT_MISSED,
  EMITTED,
  openDelivery,
  putPlainHeader,
  slotsTaken,
  tookPlain,
  tookSlots,
} from './emit';
import { markRetagged } from './retag';
import { deliverTranslated, forgetResumed } from './translate';

// Beside each snapshot of a descriptor: its head, and where its buffer is (0 = needs a closer
// look).
const HEADS_BASE: u32 = RX_DESCRIPTORS_BASE + BATCH_MAX * 16;
const ADDRESSES_BASE: u32 = HEADS_BASE + BATCH_MAX * 4;

/**
 * Delivers the frames whose numbers stand at `list` (u32 each), from `start` on. Returns how far it
 * came: `frames`, or less if it waits for a window (see the control words).
 */
export function deliver(ringNumber: u32, list: u32, start: u32, frames: u32): u32 {
  const view = viewAt(ringNumber);
  const ring = ringAt(ringNumber);
  control().currentRing = ringNumber;
  beginDelivery();
  if (isInVlans) markRetagged(vfOf(ringNumber), list, start, frames);
  lock(ring);
  let done = start;
  if (view.state == RING_ENABLED && prepare(ringNumber, view, ring, frames - start)) {
    done = deliverEach(ringNumber, view, ring, list, start, frames);
    closeDelivery(ringNumber, view, ring);
    count(ringNumber, COUNTER_OFFERED, done - start);
  } else {
    done = frames;
    forgetResumed(ringNumber);
    count(ringNumber, COUNTER_OFFERED, frames - start);
    dropHere(ringNumber, DROP_RING_STOPPED, frames - start);
  }
  unlock(ring);
  return done;
}

/** Looks at the ring and up to `wanted` of its buffers. False if its driver broke it. */
function prepare(ringNumber: u32, view: RingView, ring: Ring, wanted: u32): bool {
  let ready: u32 = 0;
  if (isPacked(ring)) {
    openDelivery(0);
    ready = snapshotPacked(view, ring, wanted);
  } else {
    const available = availableCount(view, ring);
    openDelivery(available);
    if (available > ring.size) {
      faultRing(ringNumber, RING_FAULT_AVAIL_INDEX);
      return false;
    }
    ready = min(available, wanted);
    snapshotSplit(view, ring, ready);
  }
  const vf = vfOf(ringNumber);
  translatePlain(vf, RX_DESCRIPTORS_BASE, ready, DESCRIPTOR_F_WRITE, ADDRESSES_BASE);
  for (let i = ready; i < wanted; i++) store<u32>(ADDRESSES_BASE + (i << 2), 0);
  return true;
}

function snapshotSplit(view: RingView, ring: Ring, ready: u32): void {
  for (let i: u32 = 0; i < ready; i++) {
    store<u32>(HEADS_BASE + (i << 2), availableHead(view, ring, i));
  }
  for (let i: u32 = 0; i < ready; i++) {
    const head = load<u32>(HEADS_BASE + (i << 2));
    const snapshot = RX_DESCRIPTORS_BASE + (i << 4);
    if (head < ring.size) v128.store(snapshot, v128.load(descriptorAt(view, head)));
    else store<u64>(snapshot, 0, DESCRIPTOR_LENGTH); // a bad one is judged at its turn
  }
}

/**
 * As long as every buffer is one descriptor, the i-th stands i slots on. The first that is more
 * ends the early look. The snapshot is put in the order of a split one.
 */
function snapshotPacked(view: RingView, ring: Ring, wanted: u32): u32 {
  for (let i: u32 = 0; i < wanted; i++) {
    const flags = availableFlags(view, ring, i);
    if (flags < 0 || (flags & PACKED_CHAIN_FLAGS) != DESCRIPTOR_F_WRITE) return i;
    const descriptor = packedDescriptor(view, ring, i);
    const snapshot = RX_DESCRIPTORS_BASE + (i << 4);
    store<u64>(snapshot, load<u64>(descriptor));
    store<u32>(snapshot, load<u32>(descriptor, DESCRIPTOR_LENGTH), DESCRIPTOR_LENGTH);
    store<u16>(snapshot, u16(DESCRIPTOR_F_WRITE), DESCRIPTOR_FLAGS);
    store<u32>(HEADS_BASE + (i << 2), u32(load<u16>(descriptor, PACKED_ID)));
  }
  return wanted;
}

/**
 * The frequent case on a split ring: finished frames in one piece into buffers in one piece.
 * Returns where it ended: at the first frame that is more, or whose buffer is.
 */
function deliverPlain(view: RingView, ring: Ring, list: u32, start: u32, frames: u32): u32 {
  const headerSize = ring.headerSize;
  const mask = ring.size - 1;
  const used = view.used;
  const firstUsed = ring.usedIndex;
  let bytes: u32 = 0;
  let i = start;
  for (; i < frames; i++) {
    const frame = frameAt(load<u32>(list + (i << 2)));
    const place = i - start;
    const linear = load<u32>(ADDRESSES_BASE + (place << 2));
    if (linear == 0 || frame.address == 0 || frame.offload != 0) break;
    const length = frame.length;
    const needed = length + headerSize;
    if (load<u32>(RX_DESCRIPTORS_BASE + (place << 4), DESCRIPTOR_LENGTH) < needed) break;
    putPlainHeader(linear, headerSize);
    copy(linear + headerSize, frame.address, length);
    const element = u64(load<u32>(HEADS_BASE + (place << 2))) | (u64(needed) << 32);
    store<u64>(used + ((firstUsed + place) & mask) * USED_ELEMENT_SIZE, element, USED_RING);
    bytes += length;
  }
  tookPlain(i - start, bytes);
  return i;
}

function deliverEach(
  ringNumber: u32,
  view: RingView,
  ring: Ring,
  list: u32,
  start: u32,
  frames: u32,
): u32 {
  const headerSize = ring.headerSize;
  const plain = isPacked(ring) ? start : deliverPlain(view, ring, list, start, frames);
  for (let i = plain; i < frames; i++) {
    const frame = frameAt(load<u32>(list + (i << 2)));
    const taken = slotsTaken();
    const place = taken << 2;
    const needed = frame.length + headerSize;
    // Buffers run out of step with frames once one frame took several: the closer look then finds
    // them.
    const linear = taken < frames - start ? load<u32>(ADDRESSES_BASE + place) : 0;
    const isPlain = frame.address != 0 && frame.offload == 0;
    const room = load<u32>(RX_DESCRIPTORS_BASE + (place << 2), DESCRIPTOR_LENGTH);
    if (linear != 0 && isPlain && room >= needed) {
      putPlainHeader(linear, headerSize);
      copy(linear + headerSize, frame.address, frame.length);
      putUsed(view, ring, taken, load<u32>(HEADS_BASE + place), needed);
      tookSlots(1, frame.length);
      continue;
    }
    const result = deliverTranslated(ringNumber, view, ring, frame);
    if (result == EMITTED) continue;
    if (result == EMIT_MISSED) return i;
    if (result == EMIT_FAULTED) {
      dropHere(ringNumber, DROP_RING_STOPPED, frames - i);
      return frames;
    }
    dropHere(ringNumber, u32(EMIT_DROPPED - result), 1);
  }
  return frames;
}

function dropHere(ringNumber: u32, reason: u32, frames: u32): void {
  count(ringNumber, COUNTER_DROPS + reason, frames);
}
