// Which of a VF's receive queues a flow belongs to: the same for all frames of a flow, so order
// holds.

const ETHERTYPE: u32 = 12;
const TYPE_IPV4: u32 = 0x0008; // as a little-endian load sees 0x0800
const TYPE_IPV6: u32 = 0xdd86;
const TYPE_VLAN: u32 = 0x0081;
const TYPE_QINQ: u32 = 0xa888;
const PROTOCOL_TCP: u32 = 6;
const PROTOCOL_UDP: u32 = 17;
/** IPv4 flags and offset without "don't fragment", as a little-endian load sees them. */
const FRAGMENT_MASK: u32 = 0xff3f;

/** A 32-bit hash over addresses and ports (IP), or over the MAC addresses (everything else). */
export function flowHash(header: u32, length: u32): u32 {
  let offset = ETHERTYPE;
  let type = u32(load<u16>(header + offset));
  if ((type == TYPE_VLAN || type == TYPE_QINQ) && length >= 18) {
    offset += 4;
    type = u32(load<u16>(header + offset));
  }
  const ip = header + offset + 2;
  const room = length - offset - 2;
  if (type == TYPE_IPV4 && room >= 20) return hashIpv4(ip, room);
  if (type == TYPE_IPV6 && room >= 40) return hashIpv6(ip, room);
  return mix(load<u64>(header) ^ rotl<u64>(load<u32>(header, 8), 17));
}

function hashIpv4(ip: u32, room: u32): u32 {
  const ports = portOffset(u32(load<u8>(ip)) & 15, room);
  const protocol = u32(load<u8>(ip, 9));
  const isFragment = (u32(load<u16>(ip, 6)) & FRAGMENT_MASK) != 0;
  let hash = load<u64>(ip, 12);
  if (ports != 0 && !isFragment && hasPorts(protocol)) hash ^= rotl<u64>(load<u32>(ip + ports), 29);
  return mix(hash + protocol);
}

function portOffset(words: u32, room: u32): u32 {
  const size = words << 2;
  return size >= 20 && size + 4 <= room ? size : 0;
}

function hashIpv6(ip: u32, room: u32): u32 {
  const protocol = u32(load<u8>(ip, 6));
  let hash = load<u64>(ip, 8) ^ rotl<u64>(load<u64>(ip, 16), 13);
  hash ^= rotl<u64>(load<u64>(ip, 24), 31) ^ rotl<u64>(load<u64>(ip, 32), 47);
  if (hasPorts(protocol) && room >= 44) hash ^= rotl<u64>(load<u32>(ip, 40), 29);
  return mix(hash + protocol);
}

function hasPorts(protocol: u32): bool {
  return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
}

function mix(value: u64): u32 {
  return u32((value * 0x9e3779b97f4a7c15) >> 32);
}
