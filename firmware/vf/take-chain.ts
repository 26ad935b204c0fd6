// A frame that takes a closer look: in several descriptors or windows, with a strange length, or
// where no window is open yet.
import {
  DROP_GIANT,
  DROP_HEADER_SHORT,
  DROP_RUNT,
  DROP_WINDOW_EXHAUSTED,
} from '../../layout/counters';
import {
  FRAME_SIZE_MAX,
  FRAME_SIZE_MIN,
  HEADER_BYTES_MAX,
  MISS_STREAK_MAX,
} from '../../layout/limits';
import { SOURCE_SEGMENTS_BASE } from '../../layout/memory';
import { NET_HEADER_SIZE_HASH } from '../../layout/virtio';
import { isNoted } from '../memory/iotlb';
import { gather } from '../memory/segments';
import {
  dropOf,
  WALK_MISSED,
  WALK_UNTRANSLATED,
  walkChain,
  walkedSegments,
} from '../virtqueue/chain';
import { isPacked } from '../virtqueue/queue';
import { Ring, RingView, vfOf } from '../virtqueue/ring';
import { openWalk, walkedSteps } from '../virtqueue/walk-budget';
import { Frame, frameAt, headerScratch, TARGET_DROP } from '../wire/frame';
import { lengthCostShift } from './rounds';
import { openWork } from './work';

/** The frame stays in the guest until the host has mapped or learned what it needs. */
export const CHAIN_MISSED: u32 = 0xffffffff;

/** The batch ended early because of a missing window. */
export let chainMissed: bool = false;
/** … or because an address of the next frame waits for its translation. */
export let chainUntranslated: bool = false;

/** Descriptors that hold nothing make no segments, but eight of them cost as much as one. */
const STEPS_PER_SEGMENT_SHIFT: u32 = 3;

let segmentsUsed: u32 = 0;

/** Before the first frame of a batch. */
export function openChains(): void {
  segmentsUsed = 0;
  openWork();
  chainMissed = false;
  chainUntranslated = false;
}

/**
 * Finds the bytes of frame `index`, whose `head`, `ahead` and `slots` are set: fills in the rest of
 * it, or a drop. Returns what it costs of SEGMENT_BUDGET, or CHAIN_MISSED.
 */
export function takeChain(ringNumber: u32, view: RingView, ring: Ring, index: u32): u32 {
  const headerSize = ring.headerSize;
  const frame = frameAt(index);
  const wanted = headerSize + FRAME_SIZE_MAX + 1;
  const base = SOURCE_SEGMENTS_BASE;
  frame.target = 0;
  openWalk();
  const stepsBefore = walkedSteps;
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
    chainMissed = true;
    // A frame that keeps missing needs more windows than there are: waiting would never end.
    const isHopeless = index == 0 && view.missStreak > MISS_STREAK_MAX;
    return isHopeless ? drop(frame, DROP_WINDOW_EXHAUSTED) : CHAIN_MISSED;
  }
  if (total == WALK_UNTRANSLATED) {
    // Parked only if somebody will ask: news of it is what wakes it.
    chainUntranslated = isNoted;
    return CHAIN_MISSED;
  }
  if (total < 0) return drop(frame, dropOf(total));
  if (u32(total) < headerSize) return drop(frame, DROP_HEADER_SHORT);
  const length = u32(total) - headerSize;
  if (length < FRAME_SIZE_MIN) return drop(frame, DROP_RUNT);
  if (length > FRAME_SIZE_MAX) return drop(frame, DROP_GIANT);
  const segments = base + (segmentsUsed << 3);
  segmentsUsed += walkedSegments;
  frame.length = length;
  if (walkedSegments == 1) {
    // In one piece after all: its window was only not open yet.
    frame.address = load<u32>(segments) + headerSize;
    frame.header = frame.address;
  } else {
    scatter(frame, index, segments, headerSize);
  }
  const steps = (walkedSteps - stepsBefore) >> STEPS_PER_SEGMENT_SHIFT;
  return max(walkedSegments, steps) + (length >> lengthCostShift());
}

/**
 * Fills in a frame that lies in several pieces. Its virtio-net header and leading bytes are copied
 * to scratch: the header right before, so that both kinds of frame have it at `header -
 * size`.
 */
function scatter(frame: Frame, index: u32, segments: u32, headerSize: u32): void {
  const scratch = headerScratch(index);
  const leading = min(frame.length, HEADER_BYTES_MAX);
  gather(scratch + NET_HEADER_SIZE_HASH - headerSize, segments, headerSize + leading);
  let first = segments;
  let skip = headerSize;
  while (skip >= load<u32>(first, 4)) {
    skip -= load<u32>(first, 4);
    first += 8;
  }
  store<u32>(first, load<u32>(first) + skip);
  store<u32>(first, load<u32>(first, 4) - skip, 4);
  frame.address = 0;
  frame.segments = first;
  frame.segmentCount = walkedSegments - ((first - segments) >> 3);
  frame.header = scratch + NET_HEADER_SIZE_HASH;
}

function drop(frame: Frame, reason: u32): u32 {
  frame.target = TARGET_DROP + reason;
  frame.length = 0;
  return 0;
}
