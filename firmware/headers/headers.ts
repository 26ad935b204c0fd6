// Finds the network and transport headers of a frame: up to two VLAN tags, IPv4 with options, IPv6
// with extension headers. Reads each field once; the results are in the variables below.

import {
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_HOP_BY_HOP,
  PROTOCOL_ROUTING,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_SERVICE_VLAN,
  TYPE_VLAN,
} from '../../layout/protocols';

const VLAN_TAGS_MAX: u32 = 2;
export const EXTENSION_HEADERS_MAX: u32 = 8;
/** IPv4: more fragments, or an offset ("don't fragment" does not count). */
export const FRAGMENT_MASK: u32 = 0xff3f;

export let networkOffset: u32 = 0;
export let transportOffset: u32 = 0;
/** The IP protocol of the transport header. */
export let protocol: u32 = 0;
let version: u32 = 0;
/** The EtherType after the VLAN tags, in the byte order of a little-endian load. */
export let etherType: u32 = 0;

export function isIpv6(): bool {
  return version == 6;
}

/** The offset of the network header, after up to two readable VLAN tags. Sets `etherType`. */
export function findNetwork(header: u32, length: u32): u32 {
  let offset: u32 = 12;
  let type = u32(load<u16>(header + offset));
  for (let tags: u32 = 0; tags < VLAN_TAGS_MAX && offset + 6 <= length; tags++) {
    if (type != TYPE_VLAN && type != TYPE_SERVICE_VLAN) break;
    offset += 4;
    type = u32(load<u16>(header + offset));
  }
  etherType = type;
  return offset + 2;
}

/** False if there is none: not IP, an IPv4 fragment, bad headers. `length`: the readable bytes. */
export function findTransport(header: u32, length: u32): bool {
  networkOffset = findNetwork(header, length);
  if (etherType == TYPE_IPV4) return findIpv4(header + networkOffset, length - networkOffset);
  if (etherType == TYPE_IPV6) return findIpv6(header + networkOffset, length - networkOffset);
  return false;
}

/** Continues with the headers of the packet inside the tunnel, which the caller has checked. */
export function enterTunnel(network: u32, transport: u32, isV6: bool): void {
  networkOffset = network;
  transportOffset = transport;
  version = isV6 ? 6 : 4;
}

function findIpv4(ip: u32, room: u32): bool {
  if (i32(room) < 20) return false;
  const first = u32(load<u8>(ip));
  const size = (first & 15) << 2;
  if (first >> 4 != 4 || size < 20 || size > room) return false;
  if (u32(load<u16>(ip, 6)) & FRAGMENT_MASK) return false;
  version = 4;
  protocol = u32(load<u8>(ip, 9));
  transportOffset = networkOffset + size;
  return true;
}

function findIpv6(ip: u32, room: u32): bool {
  if (i32(room) < 40) return false;
  if (u32(load<u8>(ip)) >> 4 != 6) return false;
  version = 6;
  let next = u32(load<u8>(ip, 6));
  let offset: u32 = 40;
  for (let count: u32 = 0; isExtension(next); count++) {
    if (count == EXTENSION_HEADERS_MAX || offset + 8 > room) return false;
    next = u32(load<u8>(ip + offset));
    offset += (u32(load<u8>(ip + offset, 1)) + 1) << 3;
    if (offset > room) return false;
  }
  protocol = next;
  transportOffset = networkOffset + offset;
  return true;
}

export function isExtension(next: u32): bool {
  return (
    next == PROTOCOL_HOP_BY_HOP || next == PROTOCOL_ROUTING || next == PROTOCOL_DESTINATION_OPTIONS
  );
}
