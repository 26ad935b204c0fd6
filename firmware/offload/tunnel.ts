// Super-frames inside a tunnel (VXLAN, GENEVE, GRE, IP in IP …). Linux passes them to packet
// sockets without any mention of the tunnel: type and size of the segmentation are those of the
// inner packet, and csum_start is the offset of its transport header.
//
//   [ L2 │ outer IP │ UDP, GRE or nothing │ … │ inner IP │ TCP or UDP │ payload ]
//        └ what `finishOuter` corrects ──┘       └ l3     └ l4: csum_start
//
// Anything between the two (a VXLAN header, an inner Ethernet header) is copied unchanged. The
// inner packet is found backwards from its transport header. It is accepted if its protocol and
// length are correct and the tunnel carries it at exactly that offset. A second tunnel inside would
// have length fields there that need correction, so it is not accepted.

import { FRAME_SIZE_MIN } from '../../layout/limits';
import { SEGMENT_SCRATCH_BASE } from '../../layout/memory';
import {
  PROTOCOL_GRE,
  PROTOCOL_IPV4,
  PROTOCOL_IPV6,
  PROTOCOL_UDP,
  TYPE_ETHERNET,
  TYPE_IPV4,
  TYPE_IPV6,
} from '../../layout/protocols';
import { Frame } from '../headers/frame';
import {
  enterTunnel,
  etherType,
  FRAGMENT_MASK,
  findNetwork,
  findTransport,
  isIpv6,
  networkOffset,
  protocol,
  transportOffset,
} from '../headers/headers';
import { fold, sumBytes, swap } from './checksum';

const IPV4_HEADER_SIZE: u32 = 20;
const IPV4_HEADER_SIZE_MAX: u32 = 60;
const IPV6_HEADER_SIZE: u32 = 40;
const UDP_HEADER_SIZE: u32 = 8;
const UDP_CHECKSUM: u32 = 6;
/** RFC 7348. */
const VXLAN_HEADER_SIZE: u32 = 8;
/** 6081 in the byte order of a little-endian load. */
const PORT_GENEVE: u16 = 0xc117;

// RFC 2784 and 2890: flags in the first byte, then version and protocol. Depending on the flags, a
// checksum with a reserved word, a key and a sequence number follow.
const GRE_HEADER_SIZE: u32 = 4;
const GRE_TYPE: u32 = 2;
const GRE_CHECKSUM: u32 = 4;
const GRE_F_CHECKSUM: u32 = 0x80;
const GRE_F_KEY: u32 = 0x20;

/**
 * Enters the tunnel whose outer headers were found. False if the tunnel cannot be segmented, or if
 * no packet of this protocol, with its transport header at `l4`, fills it.
 */
export function findInner(frame: Frame, l4: u32, readable: u32, innerProtocol: u32): bool {
  // No extension headers: after them, the tunnel's checksum may cover other addresses.
  if (isIpv6() && transportOffset - networkOffset != IPV6_HEADER_SIZE) return false;
  const size = tunnelHeaderSize(frame.header + transportOffset, readable - transportOffset);
  const start = transportOffset + size;
  // The sums of headers and data are simply added, so the data must begin at an even offset.
  if (size < 0 || l4 > readable || (l4 - transportOffset) & 1) return false;
  const isV6 = isInnerIpv6(frame, start, l4, innerProtocol);
  const network = isV6 ? l4 - IPV6_HEADER_SIZE : innerIpv4(frame, start, l4, innerProtocol);
  if (network == 0 || !isCarried(frame.header, start, network, isV6)) return false;
  enterTunnel(network, l4, isV6);
  return true;
}

/** The minimum between the outer IP header and what it carries; −1: not a supported tunnel. */
function tunnelHeaderSize(at: u32, room: u32): i32 {
  if (protocol == PROTOCOL_IPV4 || protocol == PROTOCOL_IPV6) return 0;
  if (protocol == PROTOCOL_UDP) return UDP_HEADER_SIZE;
  if (protocol != PROTOCOL_GRE || i32(room) < i32(GRE_HEADER_SIZE)) return -1;
  // Each segment would need its own sequence number; Linux never passes on such a super-frame.
  const flags = u32(load<u8>(at));
  if (flags & ~(GRE_F_CHECKSUM | GRE_F_KEY)) return -1;
  return GRE_HEADER_SIZE + (flags & GRE_F_CHECKSUM ? 4 : 0) + (flags & GRE_F_KEY ? 4 : 0);
}

/** Whether the tunnel's content from `start` on is the IP packet at `network`. */
function isCarried(header: u32, start: u32, network: u32, isV6: bool): bool {
  const type = isV6 ? TYPE_IPV6 : TYPE_IPV4;
  const at = header + transportOffset;
  if (protocol == PROTOCOL_GRE) {
    const carried = u32(load<u16>(at, GRE_TYPE));
    if (carried == TYPE_ETHERNET) return isBehindEthernet(header, start, network, type);
    return network == start && carried == type;
  }
  if (protocol != PROTOCOL_UDP) {
    return network == start && protocol == (isV6 ? PROTOCOL_IPV6 : PROTOCOL_IPV4);
  }
  let size = VXLAN_HEADER_SIZE;
  // RFC 8926: a header of the same size, then options.
  if (load<u16>(at, 2) == PORT_GENEVE) size += (u32(load<u8>(at, UDP_HEADER_SIZE)) & 63) << 2;
  return network == start || isBehindEthernet(header, start + size, network, type);
}

function isBehindEthernet(header: u32, ethernet: u32, network: u32, type: u32): bool {
  if (ethernet + FRAME_SIZE_MIN > network) return false;
  const offset = findNetwork(header + ethernet, network - ethernet);
  return ethernet + offset == network && etherType == type;
}

/** The offset of an IPv4 header that ends at `l4`; 0 if there is none. */
function innerIpv4(frame: Frame, start: u32, l4: u32, innerProtocol: u32): u32 {
  for (let size = IPV4_HEADER_SIZE; size <= IPV4_HEADER_SIZE_MAX; size += 4) {
    if (start + size > l4) return 0;
    const ip = frame.header + l4 - size;
    if (u32(load<u8>(ip)) != (0x40 | (size >> 2))) continue;
    if (u32(load<u8>(ip, 9)) != innerProtocol) continue;
    if (u32(load<u16>(ip, 6)) & FRAGMENT_MASK) continue;
    if (swap(load<u16>(ip, 2)) == frame.length - (l4 - size)) return l4 - size;
  }
  return 0;
}

function isInnerIpv6(frame: Frame, start: u32, l4: u32, innerProtocol: u32): bool {
  if (start + IPV6_HEADER_SIZE > l4) return false;
  const ip = frame.header + l4 - IPV6_HEADER_SIZE;
  if (u32(load<u8>(ip)) >> 4 != 6 || u32(load<u8>(ip, 6)) != innerProtocol) return false;
  return swap(load<u16>(ip, 4)) == frame.length - l4;
}

/**
 * Corrects the outer headers of segment `index`. All headers are in scratch, and the inner ones are
 * finished. `length`: the whole segment; `dataSum`: the sum of the data after the headers. Parses
 * the outer headers again, in the copy: a sender that rewrites them in the meantime only spoils its
 * own frame.
 */
export function finishOuter(frame: Frame, index: u32, length: u32, dataSum: u64): void {
  if (!findTransport(SEGMENT_SCRATCH_BASE, frame.l3)) return;
  const ip = SEGMENT_SCRATCH_BASE + networkOffset;
  const at = SEGMENT_SCRATCH_BASE + transportOffset;
  const rest = length - transportOffset;
  if (i32(frame.l3 - transportOffset) >= i32(UDP_HEADER_SIZE)) {
    if (protocol == PROTOCOL_UDP) finishUdp(frame, ip, at, rest, dataSum);
    if (protocol == PROTOCOL_GRE && u32(load<u8>(at)) & GRE_F_CHECKSUM) {
      store<u16>(at, 0, GRE_CHECKSUM);
      store<u16>(at, u16(~fold(headersSum(frame, at) + dataSum)), GRE_CHECKSUM);
    }
  }
  if (isIpv6()) {
    store<u16>(ip, u16(swap(rest)), 4);
    return;
  }
  store<u16>(ip, u16(swap(length - networkOffset)), 2);
  store<u16>(ip, u16(swap((swap(load<u16>(ip, 4)) + index) & 0xffff)), 4);
  store<u16>(ip, 0, 10);
  store<u16>(ip, u16(~fold(sumBytes(ip, transportOffset - networkOffset))), 10);
}

/** Length and checksum. A checksum of 0 stays: the tunnel has none (RFC 7348; RFC 6936). */
function finishUdp(frame: Frame, ip: u32, at: u32, length: u32, dataSum: u64): void {
  store<u16>(at, u16(swap(length)), 4);
  if (load<u16>(at, UDP_CHECKSUM) == 0) return;
  store<u16>(at, 0, UDP_CHECKSUM);
  const addresses = isIpv6() ? sumBytes(ip + 8, 32) : sumBytes(ip + 12, 8);
  const pseudo = addresses + u64(swap(length)) + u64(PROTOCOL_UDP << 8);
  const checksum = ~fold(pseudo + headersSum(frame, at) + dataSum) & 0xffff;
  store<u16>(at, u16(checksum == 0 ? 0xffff : checksum), UDP_CHECKSUM);
}

/** The sum from an address in the headers in scratch to their end. */
function headersSum(frame: Frame, at: u32): u64 {
  return sumBytes(at, SEGMENT_SCRATCH_BASE + frame.payload - at);
}
