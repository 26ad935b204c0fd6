// 5.1.4.1: a guest that negotiated an MTU never gets a longer packet. VLAN tags do not count.
import { FRAME_SIZE_MIN } from '../../layout/limits';
import { OFFLOAD_UFO } from '../../layout/virtqueue';
import { batch } from '../headers/batch';
import { Frame, frameAt, headerLength, OFFLOAD_LONG, OFFLOAD_TUNNEL } from '../headers/frame';
import { findNetwork } from '../headers/headers';
import { segmentUnit } from '../offload/metadata';
import { isSuperFrame } from '../offload/segment';
import { Ring } from '../virtqueue/ring';

const IPV6_FRAGMENT_HEADER_SIZE: u32 = 8;

/**
 * Whether any frame of the batch may be too long for this receiver. A frame that GRO has joined is
 * longer than those it was made of, but it was made of frames that are not.
 */
export function mayBeLong(ring: Ring): bool {
  return ring.mtu != 0 && batch().longest > safeLength(ring);
}

/** The length up to which no frame needs a closer look: an untagged one of the whole MTU. */
function safeLength(ring: Ring): u32 {
  return ring.mtu + FRAME_SIZE_MIN;
}

/**
 * Marks the listed frames that may be too long for this receiver: they leave the fast path, and the
 * slow one checks them. To be called only if `mayBeLong`.
 */
export function markLong(ring: Ring, list: u32, start: u32, frames: u32): void {
  const safe = safeLength(ring);
  for (let i = start; i < frames; i++) {
    const frame = frameAt(load<u32>(list + (i << 2)));
    if (frame.length > safe) frame.offload |= OFFLOAD_LONG;
  }
}

/** Whether a frame, or a segment of a super-frame, is longer than its receiver's MTU. */
export function exceedsMtu(ring: Ring, frame: Frame): bool {
  if (ring.mtu == 0 || frame.length <= safeLength(ring)) return false;
  if (isSuperFrame(frame)) return segmentSize(frame) > ring.mtu;
  return frame.length - findNetwork(frame.header, headerLength(frame)) > ring.mtu;
}

/** The size of the IP packet that is the first segment, or fragment, of a super-frame. */
function segmentSize(frame: Frame): u32 {
  let headers: u32 = frame.payload;
  let rest = frame.length - frame.payload;
  if (frame.offload == OFFLOAD_UFO) {
    headers = frame.l4;
    rest = frame.length - frame.l4;
    if (frame.isV4 == 0 && rest > segmentUnit(frame)) headers += IPV6_FRAGMENT_HEADER_SIZE;
  }
  const isInTunnel = (frame.offload & OFFLOAD_TUNNEL) != 0;
  const network = isInTunnel ? findNetwork(frame.header, headerLength(frame)) : u32(frame.l3);
  return headers - network + min(rest, segmentUnit(frame));
}
