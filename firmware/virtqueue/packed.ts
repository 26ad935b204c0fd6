// The operations of a packed virtqueue, device side (virtio 1.3, 2.8). One ring serves both
// directions: the driver makes a descriptor available, the device overwrites it as used. Two flag
// bits, and a wrap counter on each side, tell which side owns a descriptor. A place on the ring is
// `position | wrap << 15`, as in vhost-user.
//
//   flags:  AVAIL == wrap, USED != wrap ─► available        AVAIL == USED == wrap ─► used

import { CHAIN_LENGTH_MAX } from '../../layout/limits';
import {
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_SIZE,
  PACKED_EVENT_DESCRIPTOR,
  PACKED_EVENT_DISABLE,
  PACKED_EVENT_ENABLE,
  PACKED_EVENT_FLAGS,
  PACKED_EVENT_OFFSET,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_FLAGS,
  PACKED_ID,
  PACKED_WRAP,
} from '../../layout/virtqueue';
import { touch } from '../memory/touch';
import {
  publishDescriptorFlags,
  publishDeviceEvent,
  writeDescriptorFlags,
  writeDeviceEvent,
  writeUsedDescriptor,
} from '../memory/write';
import { Ring, RingView } from './ring';

/** Result of `measureChain`: the buffer id, which is in the last descriptor of the chain. */
export let chainId: u32 = 0;

/** Instead of a number of slots: see `measureChain`. */
export const CHAIN_TOO_DEAR: u32 = 0xffffffff;

/**
 * The flags of the first used descriptor of a delivery. They are written last and hand over all of
 * its descriptors.
 */
let firstFlags: u32 = 0;

/** Replaces a ring's last signalled place once more than a lap has been used since. */
const LAPPED: u32 = 0xffffffff;

/** The place `ahead` slots after another, at most a lap. */
export function placeBehind(ring: Ring, place: u32, ahead: u32): u32 {
  const position = (place & ~PACKED_WRAP) + ahead;
  if (position < ring.size) return position | (place & PACKED_WRAP);
  return (position - ring.size) | (~place & PACKED_WRAP);
}

/** Slots from one place to a later one, at most a lap. (Longer distances become LAPPED.) */
function slotsBetween(ring: Ring, from: u32, to: u32): u32 {
  const slots = (to & ~PACKED_WRAP) - (from & ~PACKED_WRAP);
  return (from ^ to) & PACKED_WRAP ? slots + ring.size : slots;
}

function slotAt(view: RingView, place: u32): u32 {
  return view.descriptors + (place & ~PACKED_WRAP) * DESCRIPTOR_SIZE;
}

/** The descriptor `ahead` slots after the last one taken; the ring may wrap in between. */
export function packedDescriptor(view: RingView, ring: Ring, ahead: u32): u32 {
  return slotAt(view, placeBehind(ring, ring.lastAvail, ahead));
}

/**
 * 2.8.1: the flags of the descriptor `ahead` slots on if it is available, else −1. The load is
 * atomic, so that the rest of the descriptor is read only after its flags.
 */
export function availableFlags(view: RingView, ring: Ring, ahead: u32): i32 {
  if (ahead >= ring.size) return -1;
  const place = placeBehind(ring, ring.lastAvail, ahead);
  const slot = slotAt(view, place);
  touch(slot);
  const flags = u32(atomic.load<u16>(slot + PACKED_FLAGS));
  const wrap = (place & PACKED_WRAP) != 0;
  const isAvailable =
    ((flags & PACKED_F_AVAIL) != 0) == wrap && ((flags & PACKED_F_USED) != 0) != wrap;
  return isAvailable ? i32(flags) : -1;
}

/**
 * 2.8.6: the number of slots of the chain `ahead` slots on, given the flags of its first
 * descriptor. Sets `chainId`. Returns 0 if the chain is longer than allowed, which hides where the
 * next one begins. All chains taken must fit on the ring together, so a chain that runs into
 * earlier ones is too long as well. Returns CHAIN_TOO_DEAR if the chain is longer than `limit`; its
 * length stays unknown then.
 */
export function measureChain(
  view: RingView,
  ring: Ring,
  ahead: u32,
  firstChainFlags: u32,
  limit: u32,
): u32 {
  let flags = firstChainFlags;
  let slots: u32 = 1;
  const slotsMax = min(ring.size - ahead, CHAIN_LENGTH_MAX);
  while (flags & DESCRIPTOR_F_NEXT) {
    if (slots >= slotsMax) return 0;
    if (slots >= limit) return CHAIN_TOO_DEAR;
    flags = u32(load<u16>(packedDescriptor(view, ring, ahead + slots), PACKED_FLAGS));
    slots += 1;
  }
  chainId = u32(load<u16>(packedDescriptor(view, ring, ahead + slots - 1), PACKED_ID));
  return slots;
}

/** 2.8.2: writes the used descriptor of the chain that began `ahead` slots on. */
export function putPacked(view: RingView, ring: Ring, ahead: u32, id: u32, length: u32): void {
  const place = placeBehind(ring, ring.lastAvail, ahead);
  const slot = slotAt(view, place);
  let flags = place & PACKED_WRAP ? PACKED_F_AVAIL | PACKED_F_USED : 0;
  if (length != 0) flags |= DESCRIPTOR_F_WRITE;
  writeUsedDescriptor(slot, id, length);
  if (ahead == 0) firstFlags = flags;
  else writeDescriptorFlags(slot, flags);
}

/**
 * Hands over all used descriptors by writing the flags of the first. Publishing is a full fence:
 * the driver sees the other descriptors first, and its event structure is read afterwards.
 */
export function publishPacked(view: RingView, ring: Ring, slots: u32): void {
  publishDescriptorFlags(slotAt(view, ring.lastAvail), firstFlags);
  const signalled = ring.signalledUsed;
  if (signalled != LAPPED && slotsBetween(ring, signalled, ring.usedIndex) + slots > ring.size) {
    ring.signalledUsed = LAPPED;
  }
  ring.lastAvail = placeBehind(ring, ring.lastAvail, slots);
  ring.usedIndex = ring.lastAvail;
}

/** 2.8.10: asks for no kicks, in the device event structure. */
export function suppressPackedKicks(view: RingView): void {
  writeDeviceEvent(view.used, PACKED_EVENT_DISABLE);
}

/**
 * Asks for a kick at the next descriptor. True if there is one already. Publishing is a full fence,
 * as in `armKicks`.
 */
export function armPackedKicks(view: RingView, ring: Ring): bool {
  publishDeviceEvent(view.used, PACKED_EVENT_ENABLE);
  return availableFlags(view, ring, 0) >= 0;
}

/**
 * Whether the driver's event structure asks for an interrupt between two places. A driver that
 * takes buffers and posts them again during the delivery may lap the ring before it is signalled.
 * The two places then no longer tell whether its event lies between them, so it gets the interrupt.
 * The loads are atomic, so that none overtakes the store that published (see `wantsInterrupt`).
 */
export function wantsPackedInterrupt(view: RingView, ring: Ring, before: u32): bool {
  touch(view.avail);
  const flags = u32(atomic.load<u16>(view.avail + PACKED_EVENT_FLAGS));
  if (flags != PACKED_EVENT_DESCRIPTOR) return flags != PACKED_EVENT_DISABLE;
  if (before == LAPPED) return true;
  const event = u32(atomic.load<u16>(view.avail + PACKED_EVENT_OFFSET));
  let offset = event & ~PACKED_WRAP;
  if ((event ^ ring.usedIndex) & PACKED_WRAP) offset -= ring.size;
  const after = ring.usedIndex & ~PACKED_WRAP;
  return ((after - offset - 1) & 0xffff) < slotsBetween(ring, before, ring.usedIndex);
}
