// The general path for a transmitted frame: in several descriptors, windows or pages, of unusual
// length, or in a window that is not mapped yet.
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
import { SOURCE_PIECES_BASE } from '../../layout/memory';
import { NET_HEADER_SIZE_HASH } from '../../layout/virtio';
import { batch } from '../headers/batch';
import { Frame, frameAt, headerScratch, TARGET_DROP } from '../headers/frame';
import { isNoted } from '../memory/iotlb';
import { gather } from '../memory/pieces';
import { schedule } from '../scheduler/schedule';
import {
  dropOf,
  WALK_MISSED,
  WALK_UNTRANSLATED,
  walkChain,
  walkedPieces,
} from '../virtqueue/chain';
import { isPacked } from '../virtqueue/queue';
import { functionOf, Ring, RingView } from '../virtqueue/ring';
import { openWalk } from '../virtqueue/walk-budget';
import { faultInPieces, PLAIN_SIZE_MAX } from './fault-in';

/**
 * The frame stays in the guest until the host has mapped a window or learned a translation, or for
 * a further visit.
 */
export const CHAIN_MISSED: u32 = 0xffffffff;

/** Empty descriptors make no pieces, but eight of them cost as much as one. */
const STEPS_PER_PIECE_SHIFT: u32 = 3;

/**
 * Finds the bytes of frame `index`, whose `head`, `ahead` and `slots` are set, and fills in the
 * rest of its record, or a drop. Returns its share of PIECE_BUDGET, or CHAIN_MISSED.
 */
export function takeChain(ringNumber: u32, view: RingView, ring: Ring, index: u32): u32 {
  const headerSize = ring.headerSize;
  const frame = frameAt(index);
  const wanted = headerSize + FRAME_SIZE_MAX + 1;
  const base = SOURCE_PIECES_BASE;
  frame.target = 0;
  openWalk();
  const now = batch();
  const stepsBefore = now.walkedSteps;
  const start = isPacked(ring) ? frame.ahead : frame.head;
  const total = walkChain(
    functionOf(ringNumber),
    view,
    ring,
    start,
    frame.slots,
    0,
    wanted,
    base,
    now.pieces,
  );
  if (total == WALK_MISSED) {
    now.hasMissed = true;
    // A frame that keeps missing needs more windows than there are: waiting would never end.
    const isHopeless = index == 0 && view.missStreak > MISS_STREAK_MAX;
    return isHopeless ? drop(frame, DROP_WINDOW_EXHAUSTED) : CHAIN_MISSED;
  }
  if (total == WALK_UNTRANSLATED) {
    // Park the ring only if the address will be requested: the answer is what wakes the ring.
    now.isUntranslated = isNoted;
    return CHAIN_MISSED;
  }
  if (total < 0) return drop(frame, dropOf(total));
  if (u32(total) < headerSize) return drop(frame, DROP_HEADER_SHORT);
  const length = u32(total) - headerSize;
  if (length < FRAME_SIZE_MIN) return drop(frame, DROP_RUNT);
  if (length > FRAME_SIZE_MAX) return drop(frame, DROP_GIANT);
  const pieces = base + (now.pieces << 3);
  const mayBeInMany = walkedPieces > 1 || length > PLAIN_SIZE_MAX;
  if (mayBeInMany && !faultInPieces(view, pieces, walkedPieces)) return CHAIN_MISSED;
  now.pieces += walkedPieces;
  frame.length = length;
  if (walkedPieces == 1) {
    // In one piece after all: only its window was not mapped yet.
    frame.address = load<u32>(pieces) + headerSize;
    frame.header = frame.address;
  } else {
    scatter(frame, index, pieces, headerSize);
  }
  const steps = (now.walkedSteps - stepsBefore) >> STEPS_PER_PIECE_SHIFT;
  return max(walkedPieces, steps) + (length >> schedule().batchShift);
}

/**
 * Fills in a frame that is in several pieces. Its leading bytes are copied to scratch, with the
 * virtio-net header right before them, so that for both kinds of frame it is at `header - size`.
 */
function scatter(frame: Frame, index: u32, pieces: u32, headerSize: u32): void {
  const scratch = headerScratch(index);
  const leading = min(frame.length, HEADER_BYTES_MAX);
  gather(scratch + NET_HEADER_SIZE_HASH - headerSize, pieces, headerSize + leading);
  let first = pieces;
  let skip = headerSize;
  while (skip >= load<u32>(first, 4)) {
    skip -= load<u32>(first, 4);
    first += 8;
  }
  store<u32>(first, load<u32>(first) + skip);
  store<u32>(first, load<u32>(first, 4) - skip, 4);
  frame.address = 0;
  frame.pieces = first;
  frame.pieceCount = walkedPieces - ((first - pieces) >> 3);
  frame.header = scratch + NET_HEADER_SIZE_HASH;
}

function drop(frame: Frame, reason: u32): u32 {
  frame.target = TARGET_DROP + reason;
  frame.length = 0;
  return 0;
}
