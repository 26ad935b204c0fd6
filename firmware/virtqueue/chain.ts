// Walks a descriptor chain into segments. Snapshot, validate, use: each descriptor is read once, as
// two
// 8-byte loads, and what was checked is what is used; the driver may rewrite it meanwhile.
//
//   chain:   [addr,len]→[addr,len]→INDIRECT→[[addr,len]→[addr,len]]
//   segments: (linear address, length) …       one more wherever a window ends
import {
  DROP_BUFFER_DIRECTION,
  DROP_CHAIN_LENGTH,
  DROP_CHAIN_NEXT,
  DROP_INDIRECT_TABLE,
} from '../../layout/counters';
import {
  CHAIN_LENGTH_MAX,
  SEGMENT_COUNT_MAX,
  WALK_LENGTH_MAX,
  WALK_STEPS_PER_SEGMENT,
} from '../../layout/limits';
import {
  DESCRIPTOR_F_INDIRECT,
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
  RING_F_INDIRECT,
} from '../../layout/virtqueue';
import { spanLength, TRANSLATE_MISSED, translate, translateError } from '../memory/windows';
import { Ring, RingView } from './ring';

/** The walk needs a window; nothing was consumed. Other negative results are −2 − drop reason. */
export const WALK_MISSED: i32 = -1;

/** Segments that the last walk appended. */
export let walkedSegments: u32 = 0;

let segmentBase: u32 = 0;
let segmentCount: u32 = 0;
let stepsLeft: u32 = 0;

/** Before the first chain of each frame: what all its chains together may cost. */
export function openWalk(): void {
  stepsLeft = WALK_LENGTH_MAX;
}

/** A further segment of a super-frame: what an honest guest's buffer for it costs. */
export function extendWalk(): void {
  stepsLeft += WALK_STEPS_PER_SEGMENT;
}

export function dropOf(result: i32): u32 {
  return u32(-2 - result);
}

function dropped(reason: u32): i32 {
  return -2 - i32(reason);
}

function untranslated(): i32 {
  return translateError == TRANSLATE_MISSED ? WALK_MISSED : dropped(u32(translateError));
}

/**
 * Appends the chain at `head` to the segment table at `base` (room for `SEGMENT_COUNT_MAX - used`).
 * Stops once `wanted` bytes are gathered. Returns the bytes gathered, WALK_MISSED, or −2 − reason.
 */
export function walkChain(
  vf: u32,
  view: RingView,
  ring: Ring,
  head: u32,
  direction: u32,
  wanted: u32,
  base: u32,
  used: u32,
): i32 {
  segmentBase = base;
  segmentCount = used;
  let total: u32 = 0;
  let table = view.descriptors; // linear while direct
  let tableAddress: u64 = 0; // guest address while indirect
  let tableSize = ring.size;
  let isIndirect = false;
  let index = head;
  for (let steps: u32 = 0; ; steps++) {
    // One more than the size: the descriptor that names an indirect table is not part of the chain.
    if (steps > min(ring.size, CHAIN_LENGTH_MAX)) return dropped(DROP_CHAIN_LENGTH);
    if (stepsLeft == 0) return dropped(DROP_CHAIN_LENGTH);
    stepsLeft -= 1;
    let descriptor = table + index * DESCRIPTOR_SIZE;
    if (isIndirect) {
      descriptor = translate(vf, tableAddress + u64(index) * DESCRIPTOR_SIZE, DESCRIPTOR_SIZE);
      if (descriptor == 0) return untranslated();
      if (spanLength < DESCRIPTOR_SIZE) return dropped(DROP_INDIRECT_TABLE);
    }
    const address = load<u64>(descriptor);
    const rest = load<u64>(descriptor, DESCRIPTOR_LENGTH);
    const length = u32(rest);
    const flags = u32(rest >> 32) & 0xffff;
    if (flags & DESCRIPTOR_F_INDIRECT) {
      // 2.7.5.3: one table, at the end of the chain, whole descriptors, no longer than the queue.
      const entries = length / DESCRIPTOR_SIZE;
      if (isIndirect || flags & DESCRIPTOR_F_NEXT || !(ring.flags & RING_F_INDIRECT))
        return dropped(DROP_INDIRECT_TABLE);
      if (length % DESCRIPTOR_SIZE != 0 || entries == 0 || entries > ring.size)
        return dropped(DROP_INDIRECT_TABLE);
      isIndirect = true;
      tableAddress = address;
      tableSize = entries;
      index = 0;
      continue;
    }
    if ((flags & DESCRIPTOR_F_WRITE) != direction) return dropped(DROP_BUFFER_DIRECTION);
    const take = min(length, wanted - total);
    const failure = append(vf, address, take);
    if (failure != 0) return failure;
    total += take;
    if (total >= wanted || !(flags & DESCRIPTOR_F_NEXT)) break;
    index = u32(rest >> 48);
    if (index >= tableSize) return dropped(DROP_CHAIN_NEXT);
  }
  walkedSegments = segmentCount - used;
  return i32(total);
}

/** Appends the segments of one buffer: several where it crosses windows, none where it is empty. */
function append(vf: u32, address: u64, length: u32): i32 {
  let done: u32 = 0;
  while (done < length) {
    const linear = translate(vf, address + done, length - done);
    if (linear == 0) return untranslated();
    if (segmentCount >= SEGMENT_COUNT_MAX) return dropped(DROP_CHAIN_LENGTH);
    const segment = segmentBase + (segmentCount << 3);
    store<u32>(segment, linear);
    store<u32>(segment, spanLength, 4);
    segmentCount += 1;
    done += spanLength;
  }
  return 0;
}
