// A frame that may be joined to others (GRO). Its headers are copied to scratch once and parsed
// there. All decisions use that copy, and the joined frame begins with it: a guest that rewrites
// the frame in the meantime changes nothing.

import { RUN_HEADERS_SIZE } from '../../layout/limits';
import { PROTOCOL_TCP, TYPE_IPV4 } from '../../layout/protocols';
import { NET_HEADER_F_NEEDS_CSUM } from '../../layout/virtio';
import { OFFLOAD_CHECKSUM } from '../../layout/virtqueue';
import { Frame, headerLength, headerScratch } from '../headers/frame';
import {
  findTransport,
  isIpv6,
  networkOffset,
  protocol,
  transportOffset,
} from '../headers/headers';
import { copy } from '../memory/copy';
import { fold, sumBytes, sumFrame, swap } from './checksum';

export const TCP_FIN: u32 = 0x01;
export const TCP_PSH: u32 = 0x08;
export const TCP_CWR: u32 = 0x80;
/** FIN, SYN, RST, PSH, URG: as in Linux (tcp_gro_receive), such a frame begins no run. */
const TCP_ENDS: u32 = 0x2f;
export const TCP_SEQUENCE: u32 = 4;
const TCP_ACKNOWLEDGED: u32 = 8;
const TCP_SIZE: u32 = 12;
export const TCP_FLAGS: u32 = 13;
export const TCP_CHECKSUM: u32 = 16;
const TCP_URGENT: u32 = 18;
const TCP_HEADER_SIZE: u32 = 20;
const IPV4_HEADER_SIZE: u32 = 20;
const IPV6_HEADER_SIZE: u32 = 40;
export const IPV4_CHECKSUM: u32 = 10;
export const IPV4_IDENTIFICATION: u32 = 4;
/** "Don't fragment" in the flags of IPv4, in the byte order of a little-endian load. */
const IPV4_DONT_FRAGMENT: u32 = 0x0040;

/** Results of `readCandidate`. The flow of a frame that is not understood is unknown. */
export const NOT_UNDERSTOOD: u32 = 0;
export const NOT_TCP: u32 = 1;
export const TCP: u32 = 2;

// The current frame.
export let header: u32 = 0;
export let l3: u32 = 0;
export let l4: u32 = 0;
export let isV6: bool = false;
/** Where its data begins, and its length; valid if the frame is plain. */
export let dataOffset: u32 = 0;
export let dataLength: u32 = 0;
/** Only its checksum may be missing, its lengths agree, it has data and no IP options. */
export let isPlain: bool = false;

/** Reads the frame with this index. */
export function readCandidate(frame: Frame, index: u32): u32 {
  const readable = min(headerLength(frame), RUN_HEADERS_SIZE);
  if (isOtherIpv4(frame.header, readable)) return NOT_TCP;
  header = frame.header;
  if (frame.address != 0) {
    header = headerScratch(index) + 16;
    copy(header, frame.address, readable);
  }
  if (!findTransport(header, readable)) return NOT_UNDERSTOOD;
  if (protocol != PROTOCOL_TCP) return NOT_TCP;
  l3 = networkOffset;
  l4 = transportOffset;
  isV6 = isIpv6();
  if (l4 + TCP_HEADER_SIZE > readable) return NOT_UNDERSTOOD;
  const size = (u32(load<u8>(header + l4, TCP_SIZE)) >> 4) << 2;
  dataOffset = l4 + size;
  isPlain =
    (frame.offload & ~OFFLOAD_CHECKSUM) == 0 &&
    size >= TCP_HEADER_SIZE &&
    dataOffset <= readable &&
    dataOffset < frame.length &&
    isPlainIp(frame.length - l3);
  dataLength = frame.length - dataOffset;
  return TCP;
}

/** Checks the frame in place, so that most frames that are not TCP need no copy. */
function isOtherIpv4(at: u32, readable: u32): bool {
  if (readable < 24 || load<u16>(at, 12) != TYPE_IPV4) return false;
  return u32(load<u8>(at, 23)) != PROTOCOL_TCP;
}

/** A padded frame is longer than its packet: not plain. */
function isPlainIp(length: u32): bool {
  const ip = header + l3;
  if (isV6) {
    return l4 - l3 == IPV6_HEADER_SIZE && swap(load<u16>(ip, 4)) == length - IPV6_HEADER_SIZE;
  }
  const mayBeFragmented = u32(load<u16>(ip, 6)) & ~IPV4_DONT_FRAGMENT;
  return l4 - l3 == IPV4_HEADER_SIZE && mayBeFragmented == 0 && swap(load<u16>(ip, 2)) == length;
}

export function flagsAt(headers: u32, transport: u32): u32 {
  return u32(load<u8>(headers + transport, TCP_FLAGS));
}

export function mayBegin(): bool {
  return isPlain && (flagsAt(header, l4) & TCP_ENDS) == 0;
}

/** Whether the current frame has the IP version, addresses and ports of another. */
export function isSameFlow(other: u32, otherL3: u32, otherL4: u32, otherIsV6: bool): bool {
  if (load<u32>(header + l4) != load<u32>(other + otherL4) || isV6 != otherIsV6) return false;
  const a = header + l3;
  const b = other + otherL3;
  if (!isV6) return load<u64>(a, 12) == load<u64>(b, 12);
  return (
    load<u64>(a, 8) == load<u64>(b, 8) &&
    load<u64>(a, 16) == load<u64>(b, 16) &&
    load<u64>(a, 24) == load<u64>(b, 24) &&
    load<u64>(a, 32) == load<u64>(b, 32)
  );
}

/**
 * Whether everything that a joined frame states only once is equal in the current frame and in
 * another one of its flow, which has the same offsets: MAC addresses and tags; the IP header except
 * for lengths and identification; the TCP header except for sequence, checksum, FIN and PSH. The
 * other may have CWR: only the first segment of a super-frame has it (RFC 3168).
 */
export function isAlike(other: u32): bool {
  for (let at: u32 = 0; at < l3; at += 2) {
    if (load<u16>(header + at) != load<u16>(other + at)) return false;
  }
  const a = header + l3;
  const b = other + l3;
  if (isV6) {
    // Version, traffic class and flow label; next header and hop limit.
    if (load<u32>(a) != load<u32>(b) || load<u16>(a, 6) != load<u16>(b, 6)) return false;
  } else {
    // Version, size and type of service; flags; time to live and protocol.
    if (load<u16>(a) != load<u16>(b) || load<u32>(a, 6) != load<u32>(b, 6)) return false;
  }
  return isTcpAlike(header + l4, other + l4);
}

function isTcpAlike(a: u32, b: u32): bool {
  const flags = load<u8>(a, TCP_FLAGS);
  const may = u8(TCP_FIN | TCP_PSH | TCP_CWR);
  if (flags & u8(TCP_CWR) || (flags ^ load<u8>(b, TCP_FLAGS)) & ~may) return false;
  if (load<u32>(a, TCP_ACKNOWLEDGED) != load<u32>(b, TCP_ACKNOWLEDGED)) return false;
  // Size and reserved bits; window; urgent pointer.
  if (load<u8>(a, TCP_SIZE) != load<u8>(b, TCP_SIZE)) return false;
  if (load<u16>(a, 14) != load<u16>(b, 14)) return false;
  if (load<u16>(a, TCP_URGENT) != load<u16>(b, TCP_URGENT)) return false;
  for (let at = TCP_HEADER_SIZE; at < dataOffset - l4; at += 4) {
    if (load<u32>(a + at) != load<u32>(b + at)) return false;
  }
  return true;
}

/** The identification of an IPv4 packet. */
export function identificationAt(headers: u32): u32 {
  return swap(load<u16>(headers + l3, IPV4_IDENTIFICATION));
}

export function mayNotBeFragmented(): bool {
  return (u32(load<u16>(header + l3, 6)) & IPV4_DONT_FRAGMENT) != 0;
}

/**
 * Whether the checksums of a plain frame of the current flow, with its headers at `headers`, are
 * correct and equal to those that segmentation would make. Only such frames may be joined: a wrong
 * checksum could not be detected afterwards.
 */
export function isIntact(frame: Frame, headers: u32): bool {
  if (!isV6 && !isIpv4Intact(headers + l3)) return false;
  const field = headers + l4 + TCP_CHECKSUM;
  const found = u32(load<u16>(field));
  const length = frame.length - dataOffset;
  const pseudo = pseudoHeaderSum(headers, l3, isV6, frame.length - l4);
  if (frame.offload == OFFLOAD_CHECKSUM) {
    // Missing, and correct if it is requested at TCP's offset and the field holds the right sum.
    const wanted = (u64(l4) << 48) | u64(NET_HEADER_F_NEEDS_CSUM);
    const asked = frame.metadata & 0xffff_0000_0000_0001;
    return asked == wanted && frame.checksumOffset == TCP_CHECKSUM && found == fold(pseudo);
  }
  store<u16>(field, 0);
  const sum = pseudo + sumBytes(headers + l4, dataOffset - l4);
  store<u16>(field, u16(found));
  return (~fold(sum + u64(fold(sumFrame(frame, dataOffset, length)))) & 0xffff) == found;
}

function isIpv4Intact(ip: u32): bool {
  const found = load<u16>(ip, IPV4_CHECKSUM);
  store<u16>(ip, 0, IPV4_CHECKSUM);
  const sum = sumBytes(ip, IPV4_HEADER_SIZE);
  store<u16>(ip, found, IPV4_CHECKSUM);
  return (~fold(sum) & 0xffff) == u32(found);
}

/** The sum of a TCP segment's pseudo-header (RFC 9293, 3.1; RFC 8200, 8.1). */
export function pseudoHeaderSum(headers: u32, network: u32, isV6: bool, length: u32): u64 {
  const addresses = isV6
    ? sumBytes(headers + network + 8, 32)
    : sumBytes(headers + network + 12, 8);
  return addresses + u64(swap(length)) + u64(PROTOCOL_TCP << 8);
}
