// The two records of a ring: the shared one (what it is, its position) and this processor's view of
// it (where its parts are mapped).

import { RING_BLOCK_SHIFT } from '../../layout/limits';
import {
  RING_VIEWS_BASE,
  SHARED_BASE,
  SHARED_RING_OWNERS,
  SHARED_RINGS,
} from '../../layout/memory';
import { RING_OWNER_PORT, RING_OWNER_SIZE } from '../../layout/port';
import {
  RING_DEFER_MICROSECONDS,
  RING_DEFER_PACKETS,
  RING_DEFERRED_SINCE,
  RING_FAULT,
  RING_FILLED,
  RING_FLAGS,
  RING_FLOOD_NEXT,
  RING_HEADER_SIZE,
  RING_LAST_AVAIL,
  RING_LOCK,
  RING_MTU,
  RING_OFFLOADS,
  RING_RECORD_SIZE,
  RING_SIGNALLED_PACKETS,
  RING_SIGNALLED_USED,
  RING_SIZE,
  RING_STATE,
  RING_USED_INDEX,
  RING_VIEW_AVAIL,
  RING_VIEW_DESCRIPTORS,
  RING_VIEW_INTERRUPT_DUE,
  RING_VIEW_KIND,
  RING_VIEW_LENDABLE_BYTES,
  RING_VIEW_PARKED,
  RING_VIEW_SIZE,
  RING_VIEW_STATE,
  RING_VIEW_USED,
} from '../../layout/virtqueue';

@unmanaged
export class Ring {
  lock: u32;
  state: u32;
  size: u32;
  flags: u32;
  lastAvail: u32;
  usedIndex: u32;
  signalledUsed: u32;
  fault: u32;
  headerSize: u32;
  offloads: u32;
  deferPackets: u32;
  deferMicroseconds: u32;
  signalledPackets: u32;
  deferredSince: u32;
  floodNext: u16;
  filled: u16;
  mtu: u32;
}

if (offsetof<Ring>('lock') != RING_LOCK) ERROR('Ring.lock drifted');
if (offsetof<Ring>('state') != RING_STATE) ERROR('Ring.state drifted');
if (offsetof<Ring>('size') != RING_SIZE) ERROR('Ring.size drifted');
if (offsetof<Ring>('flags') != RING_FLAGS) ERROR('Ring.flags drifted');
if (offsetof<Ring>('lastAvail') != RING_LAST_AVAIL) ERROR('Ring.lastAvail drifted');
if (offsetof<Ring>('usedIndex') != RING_USED_INDEX) ERROR('Ring.usedIndex drifted');
if (offsetof<Ring>('signalledUsed') != RING_SIGNALLED_USED) ERROR('Ring.signalledUsed drifted');
if (offsetof<Ring>('fault') != RING_FAULT) ERROR('Ring.fault drifted');
if (offsetof<Ring>('offloads') != RING_OFFLOADS) ERROR('Ring.offloads drifted');
if (offsetof<Ring>('headerSize') != RING_HEADER_SIZE) ERROR('Ring.headerSize drifted');
if (offsetof<Ring>('deferPackets') != RING_DEFER_PACKETS) ERROR('Ring.deferPackets');
if (offsetof<Ring>('deferMicroseconds') != RING_DEFER_MICROSECONDS) ERROR('Ring drifted');
if (offsetof<Ring>('signalledPackets') != RING_SIGNALLED_PACKETS) ERROR('Ring drifted');
if (offsetof<Ring>('deferredSince') != RING_DEFERRED_SINCE) ERROR('Ring.deferredSince drifted');
if (offsetof<Ring>('floodNext') != RING_FLOOD_NEXT) ERROR('Ring.floodNext drifted');
if (offsetof<Ring>('filled') != RING_FILLED) ERROR('Ring.filled drifted');
if (offsetof<Ring>('mtu') != RING_MTU) ERROR('Ring.mtu drifted');

@unmanaged
export class RingView {
  descriptors: u32;
  avail: u32;
  used: u32;
  state: u32;
  interruptDue: u32;
  /** Consecutive batches whose first frame could not be taken because of a missing window. */
  missStreak: u16;
  /** The same because its pages took long. */
  pageWaitStreak: u16;
  parked: u16;
  kind: u16;
  /** Bytes of large frames to this ring that may be lent instead of copied. */
  lendableBytes: u32;
}

if (offsetof<RingView>('descriptors') != RING_VIEW_DESCRIPTORS) ERROR('RingView.descriptors');
if (offsetof<RingView>('avail') != RING_VIEW_AVAIL) ERROR('RingView.avail drifted');
if (offsetof<RingView>('used') != RING_VIEW_USED) ERROR('RingView.used drifted');
if (offsetof<RingView>('state') != RING_VIEW_STATE) ERROR('RingView.state drifted');
if (offsetof<RingView>('interruptDue') != RING_VIEW_INTERRUPT_DUE) ERROR('RingView drifted');
if (offsetof<RingView>('parked') != RING_VIEW_PARKED) ERROR('RingView.parked drifted');
if (offsetof<RingView>('kind') != RING_VIEW_KIND) ERROR('RingView.kind drifted');
if (offsetof<RingView>('lendableBytes') != RING_VIEW_LENDABLE_BYTES) ERROR('RingView drifted');

export function ringAt(ring: u32): Ring {
  return changetype<Ring>(SHARED_BASE + SHARED_RINGS + ring * RING_RECORD_SIZE);
}

export function viewAt(ring: u32): RingView {
  return changetype<RingView>(RING_VIEWS_BASE + ring * RING_VIEW_SIZE);
}

/** The function that a ring belongs to, which identifies the guest's memory. */
export function functionOf(ring: u32): u32 {
  return load<u16>(ownerRecord(ring));
}

/** The port of the switch that a ring belongs to; NO_PORT if its function has none. */
export function portOf(ring: u32): u32 {
  return load<u16>(ownerRecord(ring), RING_OWNER_PORT);
}

function ownerRecord(ring: u32): u32 {
  return SHARED_BASE + SHARED_RING_OWNERS + (ring >> RING_BLOCK_SHIFT) * RING_OWNER_SIZE;
}
