// The operations of a split virtqueue, device side (virtio 1.3, 2.7). The driver owns the
// descriptor table and the available ring, the device owns the used ring.
import { AVAIL_INDEX, AVAIL_RING, DESCRIPTOR_SIZE } from '../../layout/virtqueue';
import { touch } from '../memory/touch';
import { publishUsedIndex, writeUsedElement } from '../memory/write';
import { Ring, RingView } from './ring';

/**
 * 2.7.13: how many chains the driver has made available. More than the queue size means that the
 * driver broke the ring. The load is atomic, so that ring entries are read only after the index.
 */
export function availableCount(view: RingView, ring: Ring): u32 {
  touch(view.avail + AVAIL_INDEX);
  return (u32(atomic.load<u16>(view.avail + AVAIL_INDEX)) - ring.lastAvail) & 0xffff;
}

/** The head of the chain `ahead` slots after the last one taken. */
export function availableHead(view: RingView, ring: Ring, ahead: u32): u32 {
  const place = (ring.lastAvail + ahead) & (ring.size - 1); // the size is a power of two (2.7)
  return u32(load<u16>(view.avail + (place << 1), AVAIL_RING));
}

export function descriptorAt(view: RingView, index: u32): u32 {
  return view.descriptors + index * DESCRIPTOR_SIZE;
}

/** 2.7.8: writes the used element `ahead` slots after the published index. */
export function putSplit(view: RingView, ring: Ring, ahead: u32, head: u32, length: u32): void {
  const place = (ring.usedIndex + ahead) & (ring.size - 1);
  writeUsedElement(view.used, place, head, length);
}

/**
 * Returns `chains` chains to the driver. Publishing is a full fence: the driver sees the elements
 * before the index, and the interrupt decision reads the driver's flags or used_event only after
 * the index is visible.
 */
export function publishSplit(view: RingView, ring: Ring, chains: u32): void {
  ring.lastAvail = (ring.lastAvail + chains) & 0xffff;
  ring.usedIndex = (ring.usedIndex + chains) & 0xffff;
  publishUsedIndex(view.used, ring.usedIndex);
}
