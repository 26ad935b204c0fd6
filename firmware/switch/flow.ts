// Which of a VF's receive queues a flow belongs to: the same for all frames of a flow, so order
// holds.

import { toeplitz } from './toeplitz';

const ETHERTYPE: u32 = 12;
const VLAN_TAGS_MAX: u32 = 2;
const TYPE_IPV4: u32 = 0x0008; // as a little-endian load sees 0x0800
const TYPE_IPV6: u32 = 0xdd86;
const TYPE_VLAN: u32 = 0x0081;
const TYPE_QINQ: u32 = 0xa888;
const PROTOCOL_TCP: u32 = 6;
const PROTOCOL_UDP: u32 = 17;
/** IPv4 flags and offset without "don't fragment", as a little-endian load sees them. */
const FRAGMENT_MASK: u32 = 0xff3f;

/**
 * The Toeplitz hash over addresses and ports of IP (VLAN tags skipped), as RSS has it; over the MAC
 * addresses of everything else.
 */
export function flowHash(header: u32, length: u32): u32 {
  let offset = ETHERTYPE;
  let type = u32(load<u16>(header + offset));
  for (let tags: u32 = 0; tags < VLAN_TAGS_MAX && offset + 6 <= length; tags++) {
    if (type != TYPE_VLAN && type != TYPE_QINQ) break;
    offset += 4;
    type = u32(load<u16>(header + offset));
  }
  const ip = header + offset + 2;
  const room = length - offset - 2;
  if (type == TYPE_IPV4 && room >= 20) return hashIpv4(ip, room);
  if (type == TYPE_IPV6 && room >= 40) return hashIpv6(ip, room);
  return toeplitz(0, header, ETHERTYPE, 0);
}

function hashIpv4(ip: u32, room: u32): u32 {
  const ports = portOffset(u32(load<u8>(ip)) & 15, room);
  const isFragment = (u32(load<u16>(ip, 6)) & FRAGMENT_MASK) != 0;
  const hash = toeplitz(0, ip + 12, 8, 0);
  // Only the first fragment has ports: all of a datagram go by its addresses.
  if (ports == 0 || isFragment || !hasPorts(u32(load<u8>(ip, 9)))) return hash;
  return toeplitz(hash, ip + ports, 4, 8);
}

function portOffset(words: u32, room: u32): u32 {
  const size = words << 2;
  return size >= 20 && size + 4 <= room ? size : 0;
}

function hashIpv6(ip: u32, room: u32): u32 {
  const hash = toeplitz(0, ip + 8, 32, 0);
  if (!hasPorts(u32(load<u8>(ip, 6))) || room < 44) return hash;
  return toeplitz(hash, ip + 40, 4, 32);
}

function hasPorts(protocol: u32): bool {
  return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
}
