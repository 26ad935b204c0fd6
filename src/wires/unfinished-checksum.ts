// A frame that was never on a cable, as between the two ends of a veth, may arrive with an
// unfinished checksum: its sender left it to hardware that does not exist, and AF_XDP has no way to
// say so. Such a frame has the pseudo-header sum in its checksum field (so that the hardware only
// has to add the rest), and is recognised by that:
//
//   unfinished   the field is the sum of addresses, protocol and length
//   finished     the field is the complement of the sum of these and of everything else
//
// One finished frame in 65536 has the same value by chance. It is treated as unfinished too, which
// does no harm: the checksum computed for it is the one it had.

import {
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_SERVICE_VLAN,
  TYPE_VLAN,
} from '../../layout/protocols.ts';
import { NET_HEADER_F_NEEDS_CSUM, NET_HEADER_SIZE } from '../../layout/virtio.ts';

// Offsets in a virtio-net header (virtio 1.3, 5.1.6).
const CHECKSUM_START = 6;
const CHECKSUM_OFFSET = 8;

const ADDRESSES_SIZE = 12;
const TAG_SIZE = 4;
const TAGS_MAX = 2;
const TCP_CHECKSUM = 16;
const UDP_CHECKSUM = 6;
const IPV6_HEADER_SIZE = 40;
/** "More fragments", and the offset: only whole packets have a checksum to finish. */
const FRAGMENT_BITS = 0x3fff;

/**
 * If the checksum of the frame after the header is unfinished, says so in the virtio-net header,
 * which is all zeros. `length`: bytes of the frame.
 */
export function markUnfinished(view: DataView, header: number, length: number): void {
  const frame = header + NET_HEADER_SIZE;
  const end = frame + length;
  let at = frame + ADDRESSES_SIZE;
  if (at + 2 > end) return;
  let type = view.getUint16(at, true);
  for (let tags = 0; tags < TAGS_MAX && isTag(type) && at + TAG_SIZE + 2 <= end; tags++) {
    at += TAG_SIZE;
    type = view.getUint16(at, true);
  }
  const packet = at + 2;
  if (type === TYPE_IPV4) markIpv4(view, header, packet, end);
  else if (type === TYPE_IPV6) markIpv6(view, header, packet, end);
}

function isTag(type: number): boolean {
  return type === TYPE_VLAN || type === TYPE_SERVICE_VLAN;
}

function markIpv4(view: DataView, header: number, packet: number, end: number): void {
  if (packet + 20 > end) return;
  const headerSize = (view.getUint8(packet) & 0xf) * 4;
  if (headerSize < 20 || (view.getUint16(packet + 6) & FRAGMENT_BITS) !== 0) return;
  const sum = sumOf(view, packet + 12, 8);
  const length = view.getUint16(packet + 2) - headerSize;
  compare(view, header, packet + headerSize, end, view.getUint8(packet + 9), length, sum);
}

/** Extension headers hide what follows: such frames pass unchanged. */
function markIpv6(view: DataView, header: number, packet: number, end: number): void {
  if (packet + IPV6_HEADER_SIZE > end) return;
  const sum = sumOf(view, packet + 8, 32);
  const length = view.getUint16(packet + 4);
  const protocol = view.getUint8(packet + 6);
  compare(view, header, packet + IPV6_HEADER_SIZE, end, protocol, length, sum);
}

function compare(
  view: DataView,
  header: number,
  segment: number,
  end: number,
  protocol: number,
  length: number,
  addresses: number,
): void {
  if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) return;
  const offset = protocol === PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM;
  if (length <= offset || segment + offset + 2 > end) return;
  let sum = addresses + protocol + length;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  if (view.getUint16(segment + offset) !== sum) return;
  view.setUint8(header, NET_HEADER_F_NEEDS_CSUM);
  view.setUint16(header + CHECKSUM_START, segment - header - NET_HEADER_SIZE, true);
  view.setUint16(header + CHECKSUM_OFFSET, offset, true);
}

function sumOf(view: DataView, at: number, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i += 2) sum += view.getUint16(at + i);
  return sum;
}
