// Walks a descriptor chain and collects its pieces. Each descriptor is copied, validated and used
// from the copy: two 8-byte loads read it once, since the driver may rewrite it at any time.
//
//   chain:   [addr,len]→[addr,len]→INDIRECT→[[addr,len]→[addr,len]]
//   pieces:  (linear address, length) …       one more wherever a window ends
import {
  DROP_BUFFER_DIRECTION,
  DROP_CHAIN_LENGTH,
  DROP_CHAIN_NEXT,
  DROP_INDIRECT_TABLE,
  DROP_UNTRANSLATED,
} from '../../layout/counters';
import {
  ANSWER_SIZE_MAX,
  CHAIN_LENGTH_MAX,
  PIECE_COUNT_MAX,
  REQUEST_LENGTH_MAX,
  REQUEST_SIZE_MAX,
} from '../../layout/limits';
import {
  DESCRIPTOR_F_INDIRECT,
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
  RING_F_INDIRECT,
} from '../../layout/virtqueue';
import {
  spanLength,
  TRANSLATE_MISSED,
  translate,
  translateError,
  translateRead,
} from '../memory/windows';
import { packedDescriptor } from './packed';
import { isPacked } from './queue';
import { Ring, RingView } from './ring';
import { descriptorAt } from './split';
import { takeStep } from './walk-budget';

/** The walk needs a window; nothing was consumed. Other negative results are −2 − drop reason. */
export const WALK_MISSED: i32 = -1;

/** An address has no translation yet; nothing was consumed. */
export const WALK_UNTRANSLATED: i32 = -2 - i32(DROP_UNTRANSLATED);

/** Pieces that the last walk appended. */
export let walkedPieces: u32 = 0;

let pieceBase: u32 = 0;
let pieceCount: u32 = 0;

export function dropOf(result: i32): u32 {
  return u32(-2 - result);
}

/** What `walkChain` returns for a chain that is dropped for this reason. */
export function droppedWalk(reason: u32): i32 {
  return -2 - i32(reason);
}

function untranslated(): i32 {
  return translateError == TRANSLATE_MISSED ? WALK_MISSED : droppedWalk(u32(translateError));
}

/**
 * Appends the pieces of a chain to the table at `base`, which holds `used` of at most
 * PIECE_COUNT_MAX pieces. `start` is the chain's head on a split ring; on a packed ring it is the
 * slot ahead where the chain begins, and `slots` is how many it takes. Stops once `wanted` bytes
 * are gathered. Returns the bytes gathered, WALK_MISSED, or −2 − reason.
 */
export function walkChain(
  owner: u32,
  view: RingView,
  ring: Ring,
  start: u32,
  slots: u32,
  direction: u32,
  wanted: u32,
  base: u32,
  used: u32,
): i32 {
  pieceBase = base;
  pieceCount = used;
  isIndirect = false;
  let total: u32 = 0;
  let index = start;
  for (let steps: u32 = 0; ; steps++) {
    // One more than the size: the descriptor with INDIRECT set is not part of the chain.
    if (steps > min(ring.size, CHAIN_LENGTH_MAX)) return droppedWalk(DROP_CHAIN_LENGTH);
    if (!takeStep()) return droppedWalk(DROP_CHAIN_LENGTH);
    const failure = readDescriptor(owner, view, ring, index);
    if (failure != 0) return failure;
    if (flags & DESCRIPTOR_F_INDIRECT) {
      if (!openIndirect(ring)) return droppedWalk(DROP_INDIRECT_TABLE);
      index = 0;
      continue;
    }
    if ((flags & DESCRIPTOR_F_WRITE) != direction) return droppedWalk(DROP_BUFFER_DIRECTION);
    const take = min(length, wanted - total);
    const problem = append(owner, address, take);
    if (problem != 0) return problem;
    total += take;
    if (total >= wanted) break;
    const following = indexBehind(ring, index, start + slots);
    if (following == CHAIN_END) break;
    if (following < 0) return following;
    index = u32(following);
  }
  walkedPieces = pieceCount - used;
  return i32(total);
}

/** Instead of an index: the chain ends here. */
const CHAIN_END: i32 = -1;

/**
 * The index of the next descriptor, in the ring or the indirect table; CHAIN_END, or a drop. `end`
 * is the slot after the last one of a chain on a packed ring.
 */
function indexBehind(ring: Ring, index: u32, end: u32): i32 {
  if (isPacked(ring)) {
    // The length measured earlier counts, whatever the flags say now. An indirect table is used to
    // its end (2.8.7).
    const following = index + 1;
    return following == (isIndirect ? tableSize : end) ? CHAIN_END : i32(following);
  }
  if (!(flags & DESCRIPTOR_F_NEXT)) return CHAIN_END;
  const size = isIndirect ? tableSize : ring.size;
  return next >= size ? droppedWalk(DROP_CHAIN_NEXT) : i32(next);
}

/** Writable bytes that the last `walkRequest` recorded. */
export let writableBytes: u32 = 0;

/**
 * Walks the chain of a request. Its readable part becomes pieces at `base`, up to REQUEST_SIZE_MAX
 * bytes. The guest address of each of the first writable bytes is recorded at `answer` (u64 each).
 * Returns the number of readable bytes, or what `walkChain` returns on failure.
 */
export function walkRequest(
  owner: u32,
  view: RingView,
  ring: Ring,
  start: u32,
  slots: u32,
  base: u32,
  answer: u32,
): i32 {
  pieceBase = base;
  pieceCount = 0;
  isIndirect = false;
  writableBytes = 0;
  let total: u32 = 0;
  let index = start;
  for (let steps: u32 = 0; steps <= REQUEST_LENGTH_MAX; steps++) {
    const failure = readDescriptor(owner, view, ring, index);
    if (failure != 0) return failure;
    if (flags & DESCRIPTOR_F_INDIRECT) {
      if (!openIndirect(ring)) return droppedWalk(DROP_INDIRECT_TABLE);
      index = 0;
      continue;
    }
    if (flags & DESCRIPTOR_F_WRITE) {
      noteWritable(answer);
    } else {
      // 2.7.4.2: device-writable buffers follow all device-readable ones.
      if (writableBytes != 0) return droppedWalk(DROP_BUFFER_DIRECTION);
      const kept = min(total, REQUEST_SIZE_MAX);
      const problem = append(owner, address, min(length, REQUEST_SIZE_MAX - kept));
      if (problem != 0) return problem;
      total += min(length, REQUEST_SIZE_MAX + 1); // longer counts as too long
    }
    const following = indexBehind(ring, index, start + slots);
    if (following == CHAIN_END) return i32(total);
    if (following < 0) return following;
    index = u32(following);
  }
  return droppedWalk(DROP_CHAIN_LENGTH);
}

function noteWritable(answer: u32): void {
  for (let i: u32 = 0; i < length && writableBytes < ANSWER_SIZE_MAX; i++) {
    store<u64>(answer + (writableBytes << 3), address + i);
    writableBytes += 1;
  }
}

// The current descriptor, and the indirect table if the walk is in one.
let address: u64 = 0;
let length: u32 = 0;
let flags: u32 = 0;
let next: u32 = 0;
let isIndirect: bool = false;
let tableAddress: u64 = 0;
let tableSize: u32 = 0;

/** Copies one descriptor: two loads, each field read once. */
function readDescriptor(owner: u32, view: RingView, ring: Ring, index: u32): i32 {
  let at: u32 = 0;
  if (isIndirect) {
    at = translateRead(owner, tableAddress + u64(index) * DESCRIPTOR_SIZE, DESCRIPTOR_SIZE);
    if (at == 0) return untranslated();
    if (spanLength < DESCRIPTOR_SIZE) return droppedWalk(DROP_INDIRECT_TABLE);
  } else {
    at = isPacked(ring) ? packedDescriptor(view, ring, index) : descriptorAt(view, index);
  }
  address = load<u64>(at);
  const rest = load<u64>(at, DESCRIPTOR_LENGTH);
  length = u32(rest);
  if (isPacked(ring)) {
    flags = u32(rest >> 48);
  } else {
    flags = u32(rest >> 32) & 0xffff;
    next = u32(rest >> 48);
  }
  return 0;
}

/**
 * 2.7.5.3 and 2.8.7: one table at the end of the chain, made of whole descriptors. On a split ring
 * it may be longer than the queue if its chain is not (2.7.5.3.1); on a packed ring the whole table
 * is the chain.
 */
function openIndirect(ring: Ring): bool {
  if (isIndirect || flags & DESCRIPTOR_F_NEXT || !(ring.flags & RING_F_INDIRECT)) return false;
  tableSize = length / DESCRIPTOR_SIZE;
  if (length % DESCRIPTOR_SIZE != 0 || tableSize == 0) return false;
  if (isPacked(ring) && tableSize > ring.size) return false;
  isIndirect = true;
  tableAddress = address;
  return true;
}

/** Appends the pieces of one buffer: several if it crosses windows, none if it is empty. */
function append(owner: u32, address: u64, length: u32): i32 {
  let done: u32 = 0;
  while (done < length) {
    const linear = translate(owner, address + done, length - done);
    if (linear == 0) return untranslated();
    if (pieceCount >= PIECE_COUNT_MAX) return droppedWalk(DROP_CHAIN_LENGTH);
    const entry = pieceBase + (pieceCount << 3);
    store<u32>(entry, linear);
    store<u32>(entry, spanLength, 4);
    pieceCount += 1;
    done += spanLength;
  }
  return 0;
}
