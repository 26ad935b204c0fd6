// Everything that the NIC writes to guest memory: only this file and `copyToGuest` (copy.ts) store
// there. test/firmware/guest-writes.test.ts checks the other files.
//
//   split ring    used elements, then the used index; flags or avail_event, which suppress kicks
//   packed ring   used descriptors, the flags of the first one last; the device event structure
//   buffers       virtio-net header, payload, the bytes of an answer
//
// So dirty-page tracking would need a single hook. The ranges are known once per batch, when its
// buffers are handed over: a delivery has its posted buffers and pieces, and the ring knows its
// first and last used slot.
//
// `publish…` is an atomic store and therefore a full fence: earlier writes are visible before it,
// and later reads happen after it. The page must be touched first, since it may not be mapped (see
// touch.ts).
import { NET_HEADER_SIZE } from '../../layout/virtio';
import {
  DESCRIPTOR_LENGTH,
  PACKED_EVENT_FLAGS,
  PACKED_FLAGS,
  PACKED_ID,
  USED_ELEMENT_SIZE,
  USED_FLAGS,
  USED_INDEX,
  USED_RING,
} from '../../layout/virtqueue';
import { touch } from './touch';

/** 2.7.8: the used element in a slot of the ring. */
export function writeUsedElement(used: u32, place: u32, head: u32, length: u32): void {
  store<u64>(used + place * USED_ELEMENT_SIZE, u64(head) | (u64(length) << 32), USED_RING);
}

export function publishUsedIndex(used: u32, index: u32): void {
  touch(used + USED_INDEX);
  atomic.store<u16>(used + USED_INDEX, u16(index));
}

export function writeUsedFlags(used: u32, flags: u32): void {
  store<u16>(used + USED_FLAGS, u16(flags));
}

export function publishUsedFlags(used: u32, flags: u32): void {
  touch(used + USED_FLAGS);
  atomic.store<u16>(used + USED_FLAGS, u16(flags));
}

/** 2.7.10: avail_event, which follows the used ring of a queue of this size. */
export function writeAvailEvent(used: u32, size: u32, index: u32): void {
  store<u16>(used + size * USED_ELEMENT_SIZE, u16(index), USED_RING);
}

export function publishAvailEvent(used: u32, size: u32, index: u32): void {
  const event = used + size * USED_ELEMENT_SIZE + USED_RING;
  touch(event);
  atomic.store<u16>(event, u16(index));
}

/** 2.8.2: the used descriptor of a chain, except for the flags that hand it over. */
export function writeUsedDescriptor(slot: u32, id: u32, length: u32): void {
  store<u32>(slot, length, DESCRIPTOR_LENGTH);
  store<u16>(slot, u16(id), PACKED_ID);
}

export function writeDescriptorFlags(slot: u32, flags: u32): void {
  store<u16>(slot, u16(flags), PACKED_FLAGS);
}

export function publishDescriptorFlags(slot: u32, flags: u32): void {
  touch(slot);
  atomic.store<u16>(slot + PACKED_FLAGS, u16(flags));
}

/** 2.8.10: the flags of the device event structure of a packed ring. */
export function writeDeviceEvent(device: u32, flags: u32): void {
  store<u16>(device + PACKED_EVENT_FLAGS, u16(flags));
}

export function publishDeviceEvent(device: u32, flags: u32): void {
  touch(device);
  atomic.store<u16>(device + PACKED_EVENT_FLAGS, u16(flags));
}

/** 5.1.6.4: the virtio-net header of a frame without offloads, in a single buffer. */
export function writePlainHeader(buffer: u32, headerSize: u32): void {
  store<u64>(buffer, 0);
  if (headerSize == NET_HEADER_SIZE) store<u32>(buffer, 0x00010000, 8);
  else store<u16>(buffer, 0, 8);
}

/** Writes one byte of an answer. */
export function writeByte(buffer: u32, value: u8): void {
  store<u8>(buffer, value);
}
