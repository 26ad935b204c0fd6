// Puts one frame into the buffers of a receive ring, for any pieces of the frame and the buffers:
//
//   [virtio-net header][headers made in scratch][bytes offset … offset + length of the frame]
//       └► posted buffers, one or (mergeable) several
import {
  COUNTER_BYTES,
  COUNTER_PACKETS,
  COUNTER_WINDOW_MISSES,
  DROP_BUFFER_TOO_SMALL,
  DROP_CHAIN_LENGTH,
  DROP_RING_FULL,
  DROP_WINDOW_EXHAUSTED,
} from '../../layout/counters';
import { PIECE_COUNT_MAX } from '../../layout/limits';
import {
  EMIT_SCRATCH_BASE,
  GATHERED_BASE,
  GATHERED_ENTRY_SIZE,
  TARGET_PIECES_BASE,
} from '../../layout/memory';
import {
  NET_HEADER_HASH_REPORT,
  NET_HEADER_HASH_VALUE,
  NET_HEADER_NUM_BUFFERS,
  NET_HEADER_SIZE_HASH,
} from '../../layout/virtio';
import {
  DESCRIPTOR_F_WRITE,
  OFFLOAD_UFO,
  RING_F_MERGEABLE,
  RING_FAULT_CHAIN,
  RING_FAULT_HEAD_INDEX,
  USED_LENT,
} from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { Frame, headerLength } from '../headers/frame';
import { appendToTargets, openTargets } from '../memory/pieces';
import { registers } from '../memory/registers';
import { settleExhausted } from '../memory/windows';
import { hashFlow, hashType, reportOf } from '../offload/flow-hash';
import { noteCopies } from '../scheduler/work';
import {
  dropOf,
  droppedWalk,
  WALK_MISSED,
  WALK_UNTRANSLATED,
  walkChain,
  walkedPieces,
} from '../virtqueue/chain';
import { faultRing } from '../virtqueue/fault';
import { availableFlags, CHAIN_TOO_DEAR, chainId, measureChain } from '../virtqueue/packed';
import { isPacked, publishUsed, putUsed } from '../virtqueue/queue';
import { functionOf, portOf, Ring, RingView } from '../virtqueue/ring';
import { availableHead } from '../virtqueue/split';
import { measurableSlots, payMeasured } from '../virtqueue/walk-budget';
import { markInterruptDue } from './interrupt-due';
import { appendPieces, LEND_LATER, LEND_NOW, lentSize, mayLend } from './lend';
import { look, looked, openLook } from './look';
import { endMissStreak, mayMiss } from './misses';
import { postedAt } from './posted';

/**
 * What `emit` returns: done; wait, for a window or until lent frames have been sent; the ring is
 * broken; or EMIT_DROPPED − reason.
 */
export const EMITTED: i32 = 0;
export const EMIT_MISSED: i32 = -1;
export const EMIT_FAULTED: i32 = -2;
export const EMIT_DROPPED: i32 = -3;

/** Buffers to look at together if a frame takes several: their descriptors share cache lines. */
const LOOK_STEP: u32 = 16;

// The current delivery: what a split ring had at its start, and what has happened since.
let availableSlots: u32 = 0;
let takenSlots: u32 = 0;
let deliveredFrames: u32 = 0;
let deliveredBytes: u32 = 0;

export function openDelivery(available: u32): void {
  openLook();
  availableSlots = available;
  takenSlots = 0;
  deliveredFrames = 0;
  deliveredBytes = 0;
}

/** Slots that this delivery has used, which is also where the next buffer is. */
export function slotsTaken(): u32 {
  return takenSlots;
}

export function tookSlots(slots: u32, bytes: u32): void {
  takenSlots += slots;
  deliveredFrames += 1;
  deliveredBytes += bytes;
}

/** Counts plain frames, each in a buffer of one slot. */
export function tookPlain(frames: u32, bytes: u32): void {
  if (frames != 0) endMissStreak();
  takenSlots += frames;
  deliveredFrames += frames;
  deliveredBytes += bytes;
}

/** Hands all used buffers to the driver together. */
export function closeDelivery(ringNumber: u32, view: RingView, ring: Ring): void {
  if (takenSlots == 0) return;
  publishUsed(view, ring, takenSlots);
  count(ringNumber, COUNTER_PACKETS, deliveredFrames);
  count(ringNumber, COUNTER_BYTES, deliveredBytes);
  noteCopies(deliveredFrames, deliveredBytes);
  markInterruptDue(ringNumber, view);
}

/**
 * Emits `headers` bytes from `headersAt`, then `length` bytes of the frame from `offset` on. The
 * first 8 bytes of the virtio-net header are `metadata`, its csum_offset is `checksumOffset`.
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
  const lending = mayLend(view, frame, headers, length);
  if (lending == LEND_LATER) return EMIT_MISSED;
  const isLent = lending == LEND_NOW;
  const needed = isLent ? lentSize(frame) : ring.headerSize + headers + length;
  const failure = gatherBuffers(ringNumber, view, ring, needed);
  if (failure != 0) return failure;
  store<u64>(EMIT_SCRATCH_BASE, metadata);
  store<u16>(EMIT_SCRATCH_BASE, u16(checksumOffset), 8);
  const isMergeable = (ring.flags & RING_F_MERGEABLE) != 0;
  store<u16>(EMIT_SCRATCH_BASE, u16(isMergeable ? gatheredBuffers : 1), NET_HEADER_NUM_BUFFERS);
  if (ring.headerSize == NET_HEADER_SIZE_HASH) putHash(ringNumber, ring, frame);
  openTargets(TARGET_PIECES_BASE);
  appendToTargets(EMIT_SCRATCH_BASE, ring.headerSize);
  if (isLent) {
    appendPieces(view, frame);
    markLent();
  } else {
    appendToTargets(headersAt, headers);
    appendPart(frame, offset, length);
  }
  putGathered(view, ring, false);
  tookSlots(gatheredSlots, headers + length);
  endMissStreak();
  return EMITTED;
}

/**
 * 5.1.6.4.4: the hash of the frame's flow. A datagram that the receiver gets in fragments is hashed
 * like fragments: by its addresses only.
 */
function putHash(ringNumber: u32, ring: Ring, frame: Frame): void {
  const isFragmented = frame.offload == OFFLOAD_UFO && !(ring.offloads & OFFLOAD_UFO);
  const hash = hashFlow(portOf(ringNumber), frame.header, headerLength(frame), !isFragmented);
  store<u32>(EMIT_SCRATCH_BASE, hash, NET_HEADER_HASH_VALUE);
  store<u32>(EMIT_SCRATCH_BASE, reportOf(hashType), NET_HEADER_HASH_REPORT);
}

// The buffers of one frame. They are recorded until it is certain that the frame fits: a used
// descriptor of a packed ring cannot be taken back.
let gatheredBuffers: u32 = 0;
let gatheredSlots: u32 = 0;

/** Collects buffers for `needed` bytes; returns 0, or what `emit` returns on failure. */
function gatherBuffers(ringNumber: u32, view: RingView, ring: Ring, needed: u32): i32 {
  let gathered: u32 = 0;
  let pieces: u32 = 0;
  gatheredBuffers = 0;
  gatheredSlots = 0;
  while (gathered < needed) {
    if (gatheredBuffers > 0 && !(ring.flags & RING_F_MERGEABLE)) {
      return EMIT_DROPPED - i32(DROP_BUFFER_TOO_SMALL);
    }
    const ahead = takenSlots + gatheredSlots;
    if (isPosted(ringNumber, view, ring, ahead) && pieces < PIECE_COUNT_MAX) {
      const posted = postedAt(ahead);
      const bytes = min(posted.length, needed - gathered);
      const entry = TARGET_PIECES_BASE + (pieces << 3);
      store<u32>(entry, posted.address);
      store<u32>(entry, bytes, 4);
      bufferId = posted.id;
      bufferSlots = 1;
      noteBuffer(ahead, bytes);
      gathered += bytes;
      pieces += 1;
      continue;
    }
    const failure = findBuffer(ringNumber, view, ring, ahead);
    if (failure != 0) return failure;
    let result = walkChain(
      functionOf(ringNumber),
      view,
      ring,
      bufferStart,
      bufferSlots,
      DESCRIPTOR_F_WRITE,
      needed - gathered,
      TARGET_PIECES_BASE,
      pieces,
    );
    if (result == WALK_MISSED) {
      count(ringNumber, COUNTER_WINDOW_MISSES, 1);
      if (mayMiss(ringNumber)) {
        registers().missRing = ringNumber;
        return EMIT_MISSED;
      }
      result = droppedWalk(DROP_WINDOW_EXHAUSTED);
    }
    // The buffer may be good, but has no translation yet: it stays on the ring.
    if (result == WALK_UNTRANSLATED) return EMIT_DROPPED - i32(dropOf(result));
    noteBuffer(ahead, result < 0 ? 0 : u32(result));
    if (result < 0) {
      // A broken buffer is returned empty, and so are earlier ones of the same frame: completion is
      // in order.
      putGathered(view, ring, true);
      takenSlots += gatheredSlots;
      settleExhausted();
      return EMIT_DROPPED - i32(dropOf(result));
    }
    gathered += u32(result);
    pieces += walkedPieces;
  }
  return 0;
}

/** Whether the buffer `ahead` slots on is known to be in one piece. */
function isPosted(ringNumber: u32, view: RingView, ring: Ring, ahead: u32): bool {
  if (ahead >= looked) look(functionOf(ringNumber), view, ring, availableSlots, ahead + LOOK_STEP);
  return ahead < looked && postedAt(ahead).address != 0;
}

// Result of `findBuffer`: where `walkChain` starts, the slots it takes, the id to return it with.
export let bufferStart: u32 = 0;
export let bufferSlots: u32 = 1;
let bufferId: u32 = 0;

/** Finds the chain `ahead` slots on; returns 0, or what `emit` returns if there is none. */
export function findBuffer(ringNumber: u32, view: RingView, ring: Ring, ahead: u32): i32 {
  if (isPacked(ring)) {
    const flags = availableFlags(view, ring, ahead);
    if (flags < 0) return EMIT_DROPPED - i32(DROP_RING_FULL);
    bufferSlots = measureChain(view, ring, ahead, u32(flags), measurableSlots());
    if (bufferSlots == CHAIN_TOO_DEAR) return EMIT_DROPPED - i32(DROP_CHAIN_LENGTH);
    if (bufferSlots == 0) {
      faultRing(ringNumber, RING_FAULT_CHAIN);
      return EMIT_FAULTED;
    }
    if (bufferSlots > 1) payMeasured(bufferSlots);
    bufferStart = ahead;
    bufferId = chainId;
    return 0;
  }
  if (ahead >= availableSlots) return EMIT_DROPPED - i32(DROP_RING_FULL);
  bufferId = availableHead(view, ring, ahead);
  if (bufferId >= ring.size) {
    faultRing(ringNumber, RING_FAULT_HEAD_INDEX);
    return EMIT_FAULTED;
  }
  bufferStart = bufferId;
  bufferSlots = 1;
  return 0;
}

/** Records the buffer just found: u32 slot ahead, id, bytes written. */
function noteBuffer(ahead: u32, bytes: u32): void {
  const entry = GATHERED_BASE + gatheredBuffers * GATHERED_ENTRY_SIZE;
  store<u32>(entry, ahead);
  store<u32>(entry, bufferId, 4);
  store<u32>(entry, bytes, 8);
  gatheredBuffers += 1;
  gatheredSlots += bufferSlots;
}

/** Marks the one gathered buffer: it holds a list of pieces, not a frame. */
function markLent(): void {
  store<u32>(GATHERED_BASE, load<u32>(GATHERED_BASE, 8) | USED_LENT, 8);
}

function putGathered(view: RingView, ring: Ring, areEmpty: bool): void {
  for (let i: u32 = 0; i < gatheredBuffers; i++) {
    const entry = GATHERED_BASE + i * GATHERED_ENTRY_SIZE;
    const bytes = areEmpty ? 0 : load<u32>(entry, 8);
    putUsed(view, ring, load<u32>(entry), load<u32>(entry, 4), bytes);
  }
}

/** Appends `length` bytes of a frame from `offset` on. */
function appendPart(frame: Frame, offset: u32, length: u32): void {
  if (frame.address != 0) {
    appendToTargets(frame.address + offset, length);
    return;
  }
  let entry = frame.pieces;
  let skip = offset;
  let left = length;
  while (left != 0) {
    const size = load<u32>(entry, 4);
    if (skip >= size) {
      skip -= size;
    } else {
      const part = min(size - skip, left);
      appendToTargets(load<u32>(entry) + skip, part);
      left -= part;
      skip = 0;
    }
    entry += 8;
  }
}
