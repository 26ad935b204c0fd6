// Puts one frame into the buffers of a receive ring, whatever pieces the frame and the buffers are
// in:
//
//   [virtio-net header][headers made in scratch][bytes offset … offset + length of the frame]
//       └► posted buffers, one or (mergeable) several
import {
  COUNTER_BYTES,
  COUNTER_PACKETS,
  COUNTER_WINDOW_MISSES,
  DROP_BUFFER_TOO_SMALL,
  DROP_RING_FULL,
} from '../../layout/counters';
import { EMIT_SCRATCH_BASE, TARGET_SEGMENTS_BASE } from '../../layout/memory';
import { NET_HEADER_NUM_BUFFERS, NET_HEADER_SIZE } from '../../layout/virtio';
import {
  DESCRIPTOR_F_WRITE,
  RING_F_MERGEABLE,
  RING_FAULT_HEAD_INDEX,
} from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { control } from '../memory/control';
import { appendToTargets, openTargets } from '../memory/segments';
import { settleExhausted } from '../memory/windows';
import { dropOf, WALK_MISSED, walkChain, walkedSegments } from '../virtqueue/chain';
import { faultRing } from '../virtqueue/fault';
import { Ring, RingView, vfOf } from '../virtqueue/ring';
import { availableHead, publishUsed, putUsed } from '../virtqueue/split';
import { Frame } from '../wire/frame';
import { markDirty } from './dirty';

/** What `emit` returns: done, wait for a window, the ring is broken; or EMIT_DROPPED − reason. */
export const EMITTED: i32 = 0;
export const EMIT_MISSED: i32 = -1;
export const EMIT_FAULTED: i32 = -2;
export const EMIT_DROPPED: i32 = -3;

// The delivery in hand: what the ring had at its start, and what became of it.
let availableBuffers: u32 = 0;
let takenBuffers: u32 = 0;
let deliveredFrames: u32 = 0;
let deliveredBytes: u32 = 0;

export function openDelivery(available: u32): void {
  availableBuffers = available;
  takenBuffers = 0;
  deliveredFrames = 0;
  deliveredBytes = 0;
}

/** Buffers that this delivery has used: where the next one stands behind the ring's last index. */
export function buffersTaken(): u32 {
  return takenBuffers;
}

export function tookBuffers(buffers: u32, bytes: u32): void {
  takenBuffers += buffers;
  deliveredFrames += 1;
  deliveredBytes += bytes;
}

/** Hands the used buffers to the driver, all at once. */
export function closeDelivery(ringNumber: u32, view: RingView, ring: Ring): void {
  if (takenBuffers == 0) return;
  publishUsed(view, ring, takenBuffers);
  count(ringNumber, COUNTER_PACKETS, deliveredFrames);
  count(ringNumber, COUNTER_BYTES, deliveredBytes);
  markDirty(ringNumber, view);
}

/** 5.1.6.4: the header of a finished frame in one buffer. */
export function putPlainHeader(address: u32, headerSize: u32): void {
  store<u64>(address, 0);
  if (headerSize == NET_HEADER_SIZE) store<u32>(address, 0x00010000, 8);
  else store<u16>(address, 0, 8);
}

/**
 * Emits `headers` bytes from `headersAt`, then `length` bytes of the frame from `offset` on, under
 * a virtio-net header whose first 8 bytes are `metadata` and csum_offset `checksumOffset`.
 */
export function emit(
  ringNumber: u32,
  view: RingView,
  ring: Ring,
  frame: Frame,
  headersAt: u32,
  headers: u32,
  offset: u32,
  length: u32,
  metadata: u64,
  checksumOffset: u32,
): i32 {
  const needed = ring.headerSize + headers + length;
  const buffers = gatherBuffers(ringNumber, view, ring, needed);
  if (buffers < 0) return buffers;
  store<u64>(EMIT_SCRATCH_BASE, metadata);
  store<u16>(EMIT_SCRATCH_BASE, u16(checksumOffset), 8);
  const isMergeable = (ring.flags & RING_F_MERGEABLE) != 0;
  store<u16>(EMIT_SCRATCH_BASE, u16(isMergeable ? buffers : 1), NET_HEADER_NUM_BUFFERS);
  openTargets(TARGET_SEGMENTS_BASE);
  appendToTargets(EMIT_SCRATCH_BASE, ring.headerSize);
  appendToTargets(headersAt, headers);
  appendPart(frame, offset, length);
  tookBuffers(u32(buffers), headers + length);
  return EMITTED;
}

/** Collects buffers for `needed` bytes; returns how many, or what `emit` returns on failure. */
function gatherBuffers(ringNumber: u32, view: RingView, ring: Ring, needed: u32): i32 {
  let gathered: u32 = 0;
  let segments: u32 = 0;
  let buffers: u32 = 0;
  while (gathered < needed) {
    if (takenBuffers + buffers >= availableBuffers) return EMIT_DROPPED - i32(DROP_RING_FULL);
    if (buffers > 0 && !(ring.flags & RING_F_MERGEABLE)) {
      return EMIT_DROPPED - i32(DROP_BUFFER_TOO_SMALL);
    }
    const ahead = takenBuffers + buffers;
    const head = availableHead(view, ring, ahead);
    if (head >= ring.size) {
      faultRing(ringNumber, RING_FAULT_HEAD_INDEX);
      return EMIT_FAULTED;
    }
    const result = walkChain(
      vfOf(ringNumber),
      view,
      ring,
      head,
      DESCRIPTOR_F_WRITE,
      needed - gathered,
      TARGET_SEGMENTS_BASE,
      segments,
    );
    if (result == WALK_MISSED) {
      count(ringNumber, COUNTER_WINDOW_MISSES, 1);
      control().missRing = ringNumber;
      return EMIT_MISSED;
    }
    putUsed(view, ring, ahead, head, result < 0 ? 0 : u32(result));
    buffers += 1;
    if (result < 0) {
      giveBack(view, ring, buffers);
      settleExhausted();
      return EMIT_DROPPED - i32(dropOf(result));
    }
    gathered += u32(result);
    segments += walkedSegments;
  }
  return i32(buffers);
}

/**
 * A broken buffer goes back empty, and those of the same frame before it: completion is in order.
 */
function giveBack(view: RingView, ring: Ring, buffers: u32): void {
  for (let i: u32 = 0; i < buffers; i++) {
    const place = (ring.usedIndex + takenBuffers + i) & (ring.size - 1);
    // The head as `putUsed` has just written it: the driver's own copy may have changed since.
    putUsed(view, ring, takenBuffers + i, load<u32>(view.used + (place << 3), 4), 0);
  }
  takenBuffers += buffers;
}

/** Appends `length` bytes of a frame from `offset` on. */
function appendPart(frame: Frame, offset: u32, length: u32): void {
  if (frame.address != 0) {
    appendToTargets(frame.address + offset, length);
    return;
  }
  let segment = frame.segments;
  let skip = offset;
  let left = length;
  while (left != 0) {
    const size = load<u32>(segment, 4);
    if (skip >= size) {
      skip -= size;
    } else {
      const piece = min(size - skip, left);
      appendToTargets(load<u32>(segment) + skip, piece);
      left -= piece;
      skip = 0;
    }
    segment += 8;
  }
}
