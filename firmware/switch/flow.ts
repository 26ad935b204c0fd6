// Which of a VF's receive queues a flow belongs to: the same for all frames of a flow, so order
// holds.

import { etherType, FRAGMENT_MASK, findNetwork, TYPE_IPV4, TYPE_IPV6 } from '../wire/headers';
import { ADDRESSES_SIZE } from '../wire/tags';
import { toeplitz } from './toeplitz';

const PROTOCOL_TCP: u32 = 6;
const PROTOCOL_UDP: u32 = 17;

/**
 * The Toeplitz hash over addresses and ports of IP (VLAN tags skipped), as RSS has it; over the MAC
 * addresses of everything else.
 */
export function flowHash(header: u32, length: u32): u32 {
  const offset = findNetwork(header, length);
  const ip = header + offset;
  const room = length - offset;
  if (etherType == TYPE_IPV4 && room >= 20) return hashIpv4(ip, room);
  if (etherType == TYPE_IPV6 && room >= 40) return hashIpv6(ip, room);
  return toeplitz(0, header, ADDRESSES_SIZE, 0);
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
