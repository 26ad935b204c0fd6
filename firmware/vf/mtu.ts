// 5.1.4.1: a guest that has negotiated an MTU gets no packet that is longer. Tags do not count.
import { FRAME_SIZE_MIN } from '../../layout/limits';
import { OFFLOAD_UFO } from '../../layout/virtqueue';
import { segmentUnit } from '../offload/metadata';
import { isSuperFrame } from '../offload/segment';
import { Ring } from '../virtqueue/ring';
import { Frame, headerLength, OFFLOAD_TUNNEL } from '../wire/frame';
import { findNetwork } from '../wire/headers';

const IPV6_FRAGMENT_HEADER_SIZE: u32 = 8;

/** The longest frame that needs no closer look. */
export function surelyFits(ring: Ring): u32 {
  return ring.mtu == 0 ? u32.MAX_VALUE : ring.mtu + FRAME_SIZE_MIN;
}

/** Whether a frame, or each segment of a super-frame, is longer than its receiver's MTU. */
export function exceedsMtu(ring: Ring, frame: Frame): bool {
  if (frame.length <= surelyFits(ring)) return false;
  if (isSuperFrame(frame)) return segmentSize(frame) > ring.mtu;
  return frame.length - findNetwork(frame.header, headerLength(frame)) > ring.mtu;
}

/** The IP packet that the first segment, or fragment, of a super-frame is. */
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
