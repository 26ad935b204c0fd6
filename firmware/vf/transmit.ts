// Inhale: takes a batch of frames from a transmit ring, without copying them.
//
// The loop is split so that cache misses overlap: all ring entries, then all descriptors, then all
// frames. A frame that needs a window ends the batch before it (late pull: it stays in the guest).
import {
  COUNTER_WINDOW_MISSES,
  DROP_GIANT,
  DROP_HEADER_SHORT,
  DROP_RUNT,
  DROP_WINDOW_EXHAUSTED,
} from '../../layout/counters';
import {
  BATCH_MAX,
  FRAME_SIZE_MAX,
  FRAME_SIZE_MIN,
  HEADER_SCRATCH_SIZE,
  MISS_STREAK_MAX,
  SEGMENT_BUDGET,
  SEGMENTS_PER_FRAME_MAX,
} from '../../layout/limits';
import { SOURCE_SEGMENTS_BASE, TX_DESCRIPTORS_BASE } from '../../layout/memory';
import {
  DESCRIPTOR_FLAGS,
  DESCRIPTOR_LENGTH,
  PACKED_CHAIN_FLAGS,
  RING_FAULT_AVAIL_INDEX,
  RING_FAULT_CHAIN,
  RING_FAULT_HEAD_INDEX,
} from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { control } from '../memory/control';
import { gather } from '../memory/segments';
import { beginBatch, translatePlain } from '../memory/windows';
import { readMetadata } from '../offload/metadata';
import { dropOf, openWalk, WALK_MISSED, walkChain, walkedSegments } from '../virtqueue/chain';
import { faultRing } from '../virtqueue/fault';
import { availableFlags, chainId, measureChain, packedDescriptor } from '../virtqueue/packed';
import { isPacked } from '../virtqueue/queue';
import { Ring, RingView, ringAt, vfOf, viewAt } from '../virtqueue/ring';
import { availableCount, availableHead, descriptorAt } from '../virtqueue/split';
import { Frame, frameAt, headerScratch, TARGET_DROP } from '../wire/frame';

/** The last `inhale` ended early because of a missing window. */
export let inhaleMissed: bool = false;
/** Bytes of the frames that the last `inhale` took. */
export let inhaledBytes: u32 = 0;

/**
 * Beside the snapshots of the descriptors: where their buffers are, 0 if that takes a closer look.
 */
const ADDRESSES_BASE: u32 = TX_DESCRIPTORS_BASE + BATCH_MAX * 16;

/** Every 2 KiB of a frame cost as much as a segment: eight super-frames are a batch. */
const LENGTH_COST_SHIFT: u32 = 11;

let segmentsUsed: u32 = 0;
/** Segments of memory taken, and segments to be made: what the batch will cost. */
let budgetUsed: u32 = 0;

/**
 * Takes up to BATCH_MAX frames. Each has its header checked; `target` is 0 or TARGET_DROP + reason.
 */
export function inhale(ringNumber: u32): u32 {
  inhaleMissed = false;
  const view = viewAt(ringNumber);
  const ring = ringAt(ringNumber);
  control().currentRing = ringNumber; // before the first access that could trap
  const heads = isPacked(ring)
    ? snapshotPacked(ringNumber, view, ring)
    : snapshotSplit(ringNumber, view, ring);
  if (heads == 0) return 0;
  beginBatch();
  segmentsUsed = 0;
  budgetUsed = 0;
  inhaledBytes = 0;
  let taken = resolve(ringNumber, view, ring, heads);
  const headerSize = ring.headerSize;
  let segments: u32 = 0;
  for (let i: u32 = 0; i < taken; i++) {
    const frame = frameAt(i);
    if (frame.target == 0) segments += readMetadata(frame, headerSize, ring.offloads);
    // Tiny segments by the ten thousand would hold up all others: the rest stays in the guest.
    if (segments >= SEGMENTS_PER_FRAME_MAX) taken = leaveFrom(i + 1, taken);
  }
  noteMiss(ringNumber, view, taken);
  return taken;
}

/** Ends the batch before frame `end`. */
function leaveFrom(end: u32, taken: u32): u32 {
  for (let i = end; i < taken; i++) inhaledBytes -= frameAt(i).length;
  return end;
}

/** Copies the heads and first descriptors of what is available; returns how many. */
function snapshotSplit(ringNumber: u32, view: RingView, ring: Ring): u32 {
  const available = availableCount(view, ring);
  if (available == 0) return 0;
  if (available > ring.size) {
    faultRing(ringNumber, RING_FAULT_AVAIL_INDEX);
    return 0;
  }
  const heads = snapshotHeads(ringNumber, view, ring, min(available, BATCH_MAX));
  for (let i: u32 = 0; i < heads; i++) {
    const descriptor = descriptorAt(view, frameAt(i).head);
    v128.store(TX_DESCRIPTORS_BASE + (i << 4), v128.load(descriptor));
  }
  return heads;
}

function snapshotHeads(ringNumber: u32, view: RingView, ring: Ring, wanted: u32): u32 {
  for (let i: u32 = 0; i < wanted; i++) {
    const head = availableHead(view, ring, i);
    if (head >= ring.size) {
      // What came before it is still good: it is taken now, and the fault found again behind it.
      if (i == 0) faultRing(ringNumber, RING_FAULT_HEAD_INDEX);
      return i;
    }
    const frame = frameAt(i);
    frame.head = head;
    frame.ahead = i;
    frame.slots = 1;
  }
  return wanted;
}

/**
 * The same for a packed ring, where availability stands in each descriptor. The snapshot is put in
 * the order of a split one (flags before id), so that what follows reads both alike.
 */
function snapshotPacked(ringNumber: u32, view: RingView, ring: Ring): u32 {
  let ahead: u32 = 0;
  for (let i: u32 = 0; i < BATCH_MAX; i++) {
    // Each slot is a segment at least, or next to one: beyond the budget nothing would be taken
    // now, and what is only measured is measured again at the next turn.
    if (ahead >= SEGMENT_BUDGET) return i;
    const flags = availableFlags(view, ring, ahead);
    if (flags < 0) return i;
    const slots = measureChain(view, ring, ahead, u32(flags));
    if (slots == 0) {
      if (i == 0) faultRing(ringNumber, RING_FAULT_CHAIN);
      return i;
    }
    const frame = frameAt(i);
    frame.head = chainId;
    frame.ahead = ahead;
    frame.slots = slots;
    const descriptor = packedDescriptor(view, ring, ahead);
    const snapshot = TX_DESCRIPTORS_BASE + (i << 4);
    store<u64>(snapshot, load<u64>(descriptor));
    store<u32>(snapshot, load<u32>(descriptor, DESCRIPTOR_LENGTH), DESCRIPTOR_LENGTH);
    store<u16>(snapshot, u16(flags & PACKED_CHAIN_FLAGS), DESCRIPTOR_FLAGS);
    ahead += slots;
  }
  return BATCH_MAX;
}

/** Finds the bytes of the frames; returns how many, which are fewer if a window is missing. */
function resolve(ringNumber: u32, view: RingView, ring: Ring, heads: u32): u32 {
  const headerSize = ring.headerSize;
  translatePlain(vfOf(ringNumber), TX_DESCRIPTORS_BASE, heads, 0, ADDRESSES_BASE);
  let taken: u32 = 0;
  while (taken < heads && budgetUsed < SEGMENT_BUDGET) {
    const frame = frameAt(taken);
    const linear = load<u32>(ADDRESSES_BASE + (taken << 2));
    const length = load<u32>(TX_DESCRIPTORS_BASE + (taken << 4), DESCRIPTOR_LENGTH) - headerSize;
    if (linear != 0 && length - FRAME_SIZE_MIN <= FRAME_SIZE_MAX - FRAME_SIZE_MIN) {
      frame.target = 0;
      frame.address = linear + headerSize;
      frame.length = length;
      frame.header = linear + headerSize;
    } else {
      frame.target = 0;
      if (!resolveChain(ringNumber, view, ring, frame, taken)) break;
    }
    budgetUsed += frame.length >> LENGTH_COST_SHIFT;
    inhaledBytes += frame.length;
    taken += 1;
  }
  return taken;
}

function resolveChain(ringNumber: u32, view: RingView, ring: Ring, frame: Frame, index: u32): bool {
  const headerSize = ring.headerSize;
  const wanted = headerSize + FRAME_SIZE_MAX + 1;
  const base = SOURCE_SEGMENTS_BASE;
  openWalk();
  const start = isPacked(ring) ? frame.ahead : frame.head;
  const total = walkChain(
    vfOf(ringNumber),
    view,
    ring,
    start,
    frame.slots,
    0,
    wanted,
    base,
    segmentsUsed,
  );
  if (total == WALK_MISSED) {
    inhaleMissed = true;
    return keepsMissing(view) && index == 0 ? drop(frame, DROP_WINDOW_EXHAUSTED) : false;
  }
  if (total < 0) return drop(frame, dropOf(total));
  if (u32(total) < headerSize) return drop(frame, DROP_HEADER_SHORT);
  const length = u32(total) - headerSize;
  if (length < FRAME_SIZE_MIN) return drop(frame, DROP_RUNT);
  if (length > FRAME_SIZE_MAX) return drop(frame, DROP_GIANT);
  const segments = base + (segmentsUsed << 3);
  segmentsUsed += walkedSegments;
  budgetUsed += walkedSegments;
  scatter(frame, index, segments, headerSize, length);
  return true;
}

/**
 * Fills in a frame that lies in several pieces. Its virtio-net header and leading bytes are copied
 * to scratch: the header in the 16 bytes before, so that both kinds of frame have it at `header -
 * size`.
 */
function scatter(frame: Frame, index: u32, segments: u32, headerSize: u32, length: u32): void {
  const scratch = headerScratch(index);
  const leading = min(length, HEADER_SCRATCH_SIZE - 16);
  gather(scratch + 16 - headerSize, segments, headerSize + leading);
  let first = segments;
  let skip = headerSize;
  while (skip >= load<u32>(first, 4)) {
    skip -= load<u32>(first, 4);
    first += 8;
  }
  store<u32>(first, load<u32>(first) + skip);
  store<u32>(first, load<u32>(first, 4) - skip, 4);
  frame.address = 0;
  frame.length = length;
  frame.segments = first;
  frame.segmentCount = walkedSegments - ((first - segments) >> 3);
  frame.header = scratch + 16;
}

function drop(frame: Frame, reason: u32): bool {
  frame.target = TARGET_DROP + reason;
  frame.length = 0;
  return true;
}

/** A frame that keeps missing needs more windows than there are: waiting would never end. */
function keepsMissing(view: RingView): bool {
  return view.missStreak > MISS_STREAK_MAX;
}

function noteMiss(ringNumber: u32, view: RingView, taken: u32): void {
  if (inhaleMissed) {
    count(ringNumber, COUNTER_WINDOW_MISSES, 1);
    control().missRing = ringNumber;
  }
  view.missStreak = taken == 0 && inhaleMissed ? view.missStreak + 1 : 0;
}
