// Walks a descriptor chain into pieces. Snapshot, validate, use: each descriptor is read once, as
// two
// 8-byte loads, and what was checked is what is used; the driver may rewrite it meanwhile.
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

/** An address waits for its translation; nothing was consumed. */
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
 * Appends a chain to the table of pieces at `base` (room for `PIECE_COUNT_MAX - used`). `start`:
 * its head on a split ring, the slot ahead where it begins on a packed one, where it takes `slots`
 * of them. Stops once `wanted` bytes are gathered. Returns the bytes gathered, WALK_MISSED, or −2 −
 * reason.
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
    // One more than the size: the descriptor that names an indirect table is not part of the chain.
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

/** No index: the chain ends here. */
const CHAIN_END: i32 = -1;

/**
 * Where the chain goes on behind the descriptor in hand, in the ring or the indirect table; or
 * CHAIN_END, or the drop. `end`: of a chain on a packed ring, the slot behind its last.
 */
function indexBehind(ring: Ring, index: u32, end: u32): i32 {
  if (isPacked(ring)) {
    // The chain is what was measured, whatever its flags say now; a table is used to its end
    // (2.8.7).
    const following = index + 1;
    return following == (isIndirect ? tableSize : end) ? CHAIN_END : i32(following);
  }
  if (!(flags & DESCRIPTOR_F_NEXT)) return CHAIN_END;
  const size = isIndirect ? tableSize : ring.size;
  return next >= size ? droppedWalk(DROP_CHAIN_NEXT) : i32(next);
}

/** Writable bytes that the last `walkRequest` noted. */
export let writableBytes: u32 = 0;

/**
 * Walks the chain of a request: what can be read becomes pieces at `base`, as far as
 * REQUEST_SIZE_MAX; of what can be written behind it, the guest address of each of the first bytes
 * is noted at `answer` (u64 each). Returns how many bytes can be read, or what `walkChain` returns
 * on failure.
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
      // 2.7.4.2: all that is written stands behind all that is read.
      if (writableBytes != 0) return droppedWalk(DROP_BUFFER_DIRECTION);
      const kept = min(total, REQUEST_SIZE_MAX);
      const problem = append(owner, address, min(length, REQUEST_SIZE_MAX - kept));
      if (problem != 0) return problem;
      total += min(length, REQUEST_SIZE_MAX + 1); // whatever is longer is too long
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

// The descriptor in hand, and the indirect table if the walk is in one.
let address: u64 = 0;
let length: u32 = 0;
let flags: u32 = 0;
let next: u32 = 0;
let isIndirect: bool = false;
let tableAddress: u64 = 0;
let tableSize: u32 = 0;

/** Takes one descriptor's snapshot: two loads, each field once. */
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
 * 2.7.5.3 and 2.8.7: one table, at the end of the chain, whole descriptors. It may be longer than
 * the queue if its chain is not (2.7.5.3.1); on a packed ring the whole table is the chain.
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

/** Appends the pieces of one buffer: several where it crosses windows, none where it is empty. */
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
