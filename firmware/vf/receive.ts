// Exhale: delivers a list of frames to one receive ring, guest to guest in a single copy.
//
// Split like inhale: all ring entries, then all descriptors, then the copies; one used-index store and one
// interrupt decision for all of them. A frame that needs a window stops the list there: what was
// delivered is published, the host maps the window, and the list goes on with that same frame.
import {
  COUNTER_BYTES,
  COUNTER_DROPS,
  COUNTER_OFFERED,
  COUNTER_PACKETS,
  COUNTER_WINDOW_MISSES,
  DROP_BUFFER_TOO_SMALL,
  DROP_RING_FULL,
  DROP_RING_STOPPED,
} from '../../layout/counters';
import { BATCH_MAX } from '../../layout/limits';
import { DIRTY_LIST_BASE, RX_DESCRIPTORS_BASE, TARGET_SEGMENTS_BASE } from '../../layout/memory';
import { NET_HEADER_SIZE } from '../../layout/virtio';
import {
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_LENGTH,
  RING_ENABLED,
  RING_F_MERGEABLE,
  RING_FAULT_AVAIL_INDEX,
  RING_FAULT_HEAD_INDEX,
} from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { control } from '../memory/control';
import { copy } from '../memory/copy';
import { appendToTargets, openTargets } from '../memory/segments';
import { spanLength, translate } from '../memory/windows';
import { dropOf, openWalk, WALK_MISSED, walkChain, walkedSegments } from '../virtqueue/chain';
import { faultRing } from '../virtqueue/fault';
import { lock, unlock } from '../virtqueue/lock';
import { Ring, RingView, ringAt, vfOf, viewAt } from '../virtqueue/ring';
import {
  availableCount,
  availableHead,
  descriptorAt,
  publishUsed,
  putUsed,
} from '../virtqueue/split';
import { Frame, frameAt } from './frame';

// Beside each snapshot of a descriptor: its head, where its buffer is (0 = needs a closer look), its span.
const HEADS_BASE: u32 = RX_DESCRIPTORS_BASE + BATCH_MAX * 16;
const ADDRESSES_BASE: u32 = HEADS_BASE + BATCH_MAX * 4;
const SPANS_BASE: u32 = ADDRESSES_BASE + BATCH_MAX * 4;

/** `scatterTo` found too few buffers, or a broken one, or no window. */
const DELIVER_MISSED: i32 = -1;
const DELIVER_FAULTED: i32 = -2;

let availableNow: u32 = 0;
let buffersTaken: u32 = 0;
let bytesDelivered: u32 = 0;
let framesDelivered: u32 = 0;

/**
 * Delivers the frames whose numbers stand at `list` (u32 each), from `start` on. Returns how far it came:
 * `frames`, or less if it waits for a window (see the control words).
 */
export function deliver(ringNumber: u32, list: u32, start: u32, frames: u32): u32 {
  const view = viewAt(ringNumber);
  const ring = ringAt(ringNumber);
  control().currentRing = ringNumber;
  lock(ring);
  let done = start;
  if (view.state == RING_ENABLED && prepare(ringNumber, view, ring, frames - start)) {
    done = deliverEach(ringNumber, view, ring, list, start, frames);
    publish(ringNumber, view, ring);
    count(ringNumber, COUNTER_OFFERED, done - start);
  } else {
    done = frames;
    count(ringNumber, COUNTER_OFFERED, frames - start);
    dropHere(ringNumber, DROP_RING_STOPPED, frames - start);
  }
  unlock(ring);
  return done;
}

/** Looks at the ring and up to `wanted` of its buffers. False if its driver broke it. */
function prepare(ringNumber: u32, view: RingView, ring: Ring, wanted: u32): bool {
  availableNow = availableCount(view, ring);
  buffersTaken = 0;
  bytesDelivered = 0;
  framesDelivered = 0;
  if (availableNow > ring.size) {
    faultRing(ringNumber, RING_FAULT_AVAIL_INDEX);
    return false;
  }
  const ready = min(availableNow, wanted);
  for (let i: u32 = 0; i < ready; i++) {
    store<u32>(HEADS_BASE + (i << 2), availableHead(view, ring, i));
  }
  for (let i: u32 = 0; i < ready; i++) {
    const head = min(load<u32>(HEADS_BASE + (i << 2)), ring.size - 1); // a bad one is judged at its turn
    v128.store(RX_DESCRIPTORS_BASE + (i << 4), v128.load(descriptorAt(view, head)));
  }
  for (let i: u32 = 0; i < ready; i++) locate(vfOf(ringNumber), ring, i);
  for (let i = ready; i < wanted; i++) store<u32>(ADDRESSES_BASE + (i << 2), 0);
  return true;
}

/** Translates a buffer that is a single writable descriptor; leaves 0 for all others. */
function locate(vf: u32, ring: Ring, index: u32): void {
  const snapshot = RX_DESCRIPTORS_BASE + (index << 4);
  const rest = load<u64>(snapshot, DESCRIPTOR_LENGTH);
  const length = u32(rest);
  let linear: u32 = 0;
  const isPlain = (u32(rest >> 32) & 0xffff) == DESCRIPTOR_F_WRITE && length != 0;
  if (isPlain && load<u32>(HEADS_BASE + (index << 2)) < ring.size) {
    linear = translate(vf, load<u64>(snapshot), length);
    store<u32>(SPANS_BASE + (index << 2), spanLength);
  }
  store<u32>(ADDRESSES_BASE + (index << 2), linear);
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
  for (let i = start; i < frames; i++) {
    const frame = frameAt(load<u32>(list + (i << 2)));
    const place = buffersTaken << 2;
    const needed = frame.length + headerSize;
    // Buffers run out of step with frames once one frame took several: the closer look then finds them.
    const linear = buffersTaken < frames - start ? load<u32>(ADDRESSES_BASE + place) : 0;
    if (linear != 0 && frame.address != 0 && load<u32>(SPANS_BASE + place) >= needed) {
      putHeader(linear, headerSize);
      copy(linear + headerSize, frame.address, frame.length);
      putUsed(view, ring, buffersTaken, load<u32>(HEADS_BASE + place), needed);
      buffersTaken += 1;
      framesDelivered += 1;
      bytesDelivered += frame.length;
      continue;
    }
    const failure = deliverScattered(ringNumber, view, ring, frame);
    if (failure == DELIVER_MISSED) return i;
    if (failure == DELIVER_FAULTED) {
      dropHere(ringNumber, DROP_RING_STOPPED, frames - i);
      return frames;
    }
  }
  return frames;
}

/** 5.1.6.4: nothing to finish for the driver, and one buffer. */
function putHeader(address: u32, headerSize: u32): void {
  store<u64>(address, 0);
  if (headerSize == NET_HEADER_SIZE) store<u32>(address, 0x00010000, 8);
  else store<u16>(address, 0, 8);
}

/**
 * The general case: the frame, or the buffers, are in several pieces. Returns 0 when the frame is settled
 * (delivered or dropped), or one of the DELIVER marks.
 */
function deliverScattered(ringNumber: u32, view: RingView, ring: Ring, frame: Frame): i32 {
  const needed = frame.length + ring.headerSize;
  let gathered: u32 = 0;
  let segments: u32 = 0;
  let buffers: u32 = 0;
  openWalk();
  while (gathered < needed) {
    if (buffersTaken + buffers >= availableNow) return dropFrame(ringNumber, DROP_RING_FULL);
    if (buffers > 0 && !(ring.flags & RING_F_MERGEABLE)) {
      return dropFrame(ringNumber, DROP_BUFFER_TOO_SMALL);
    }
    const ahead = buffersTaken + buffers;
    const head = availableHead(view, ring, ahead);
    if (head >= ring.size) {
      faultRing(ringNumber, RING_FAULT_HEAD_INDEX);
      return DELIVER_FAULTED;
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
    if (result == WALK_MISSED) return missed(ringNumber);
    putUsed(view, ring, ahead, head, result < 0 ? 0 : u32(result));
    buffers += 1;
    if (result < 0) return giveBack(ringNumber, view, ring, buffers, dropOf(result));
    gathered += u32(result);
    segments += walkedSegments;
  }
  fill(ring, frame, buffers);
  buffersTaken += buffers;
  framesDelivered += 1;
  bytesDelivered += frame.length;
  return 0;
}

/** Writes the header and the frame over the gathered segments. */
function fill(ring: Ring, frame: Frame, buffers: u32): void {
  // The header is made in the free half of the heads' page, then copied: it may be split over buffers.
  const scratch = SPANS_BASE + BATCH_MAX * 4;
  putHeader(scratch, ring.headerSize);
  if (ring.flags & RING_F_MERGEABLE) store<u16>(scratch, u16(buffers), 10);
  openTargets(TARGET_SEGMENTS_BASE);
  appendToTargets(scratch, ring.headerSize);
  if (frame.address != 0) {
    appendToTargets(frame.address, frame.length);
    return;
  }
  for (let i: u32 = 0; i < frame.segmentCount; i++) {
    const segment = frame.segments + (i << 3);
    appendToTargets(load<u32>(segment), load<u32>(segment, 4));
  }
}

/** A broken buffer goes back empty (and those of the same frame before it: in order), the frame is lost. */
function giveBack(ringNumber: u32, view: RingView, ring: Ring, buffers: u32, reason: u32): i32 {
  for (let i: u32 = 0; i < buffers; i++) {
    const ahead = buffersTaken + i;
    putUsed(view, ring, ahead, availableHeadOnce(view, ring, ahead), 0);
  }
  buffersTaken += buffers;
  return dropFrame(ringNumber, reason);
}

/** The head that `putUsed` has just written for this place: the driver's copy may have changed since. */
function availableHeadOnce(view: RingView, ring: Ring, ahead: u32): u32 {
  const place = (ring.usedIndex + ahead) & (ring.size - 1);
  return load<u32>(view.used + (place << 3), 4);
}

function dropFrame(ringNumber: u32, reason: u32): i32 {
  dropHere(ringNumber, reason, 1);
  return 0;
}

function dropHere(ringNumber: u32, reason: u32, frames: u32): void {
  count(ringNumber, COUNTER_DROPS + reason, frames);
}

function missed(ringNumber: u32): i32 {
  count(ringNumber, COUNTER_WINDOW_MISSES, 1);
  control().missRing = ringNumber;
  return DELIVER_MISSED;
}

function publish(ringNumber: u32, view: RingView, ring: Ring): void {
  if (buffersTaken == 0) return;
  publishUsed(view, ring, buffersTaken);
  count(ringNumber, COUNTER_PACKETS, framesDelivered);
  count(ringNumber, COUNTER_BYTES, bytesDelivered);
  markDirty(ringNumber, view);
}

/** Notes that the ring's driver may want an interrupt at the end of the turn. */
export function markDirty(ringNumber: u32, view: RingView): void {
  if (view.dirty != 0) return;
  view.dirty = 1;
  const words = control();
  store<u32>(DIRTY_LIST_BASE + (words.dirtyCount << 2), ringNumber);
  words.dirtyCount += 1;
}
