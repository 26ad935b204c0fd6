// The reference: what a frame with incomplete offloads becomes, written from the RFCs and Linux's
// behaviour, not from the firmware. Slow and simple on purpose.
//
//   checksum only   skb_checksum_help: 0 is written as 0xffff, for TCP too
//   TCP             tcp_gso_segment: FIN and PSH on the last, CWR on the first, 0 stays 0
//   UDP (USO)       __udp_gso_segment: a datagram each, 0 is written as 0xffff
//   UDP (UFO)       udp4_ufo_fragment, udp6_ufo_fragment: IP fragments of one datagram
//   IPv4 each       inet_gso_segment: the identification counts up, fragments share it

import {
  NET_HEADER_F_NEEDS_CSUM,
  NET_HEADER_GSO_ECN,
  NET_HEADER_GSO_UDP,
  NET_HEADER_GSO_UDP_L4,
} from '../../layout/virtio.ts';
import { onesSum, pseudoSum } from './internet-checksum.ts';
import type { NetHeader } from './packets.ts';

interface Headers {
  version: 4 | 6;
  l3: number;
  l4: number;
  payload: number;
  protocol: number;
}

const TCP = 6;
const UDP = 17;
const FRAGMENT = 44;
const EXTENSIONS = [0, 43, 60];

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function setWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = (value >> 8) & 0xff;
  bytes[at + 1] = value & 0xff;
}

export function findHeaders(frame: Uint8Array): Headers {
  let l3 = 14;
  while (word(frame, l3 - 2) === 0x8100 || word(frame, l3 - 2) === 0x88a8) l3 += 4;
  const version = ((frame[l3] as number) >> 4) as 4 | 6;
  let l4 = l3 + 40;
  let protocol = frame[l3 + (version === 4 ? 9 : 6)] as number;
  if (version === 4) l4 = l3 + ((frame[l3] as number) & 15) * 4;
  while (version === 6 && EXTENSIONS.includes(protocol)) {
    protocol = frame[l4] as number;
    l4 += ((frame[l4 + 1] as number) + 1) * 8;
  }
  const size = protocol === TCP ? ((frame[l4 + 12] as number) >> 4) * 4 : 8;
  return { version, l3, l4, payload: l4 + size, protocol };
}

/** Completes a frame in which only the checksum is incomplete. */
export function completeChecksum(frame: Uint8Array, start: number, offset: number): Uint8Array {
  const whole = frame.slice();
  const checksum = ~onesSum([frame.subarray(start)]) & 0xffff;
  setWord(whole, start + offset, checksum === 0 ? 0xffff : checksum);
  return whole;
}

/** The checksum of the transport segment in a complete frame, computed with a zero field. */
export function transportChecksum(frame: Uint8Array): number {
  const { l3, l4, protocol } = findHeaders(frame);
  const segment = frame.slice(l4);
  setWord(segment, protocol === TCP ? 16 : 6, 0);
  const pseudo = pseudoSum(frame.subarray(l3, l4), protocol, segment.length);
  const checksum = ~onesSum([pseudo, segment]) & 0xffff;
  return checksum === 0 && protocol === UDP ? 0xffff : checksum;
}

/** All frames that a super-frame becomes for a receiver that accepts only complete frames. */
export function segment(frame: Uint8Array, header: NetHeader, fragmentId: number): Uint8Array[] {
  const kind = header.gsoType & ~NET_HEADER_GSO_ECN;
  if (kind === NET_HEADER_GSO_UDP) return fragments(frame, header, fragmentId);
  const headers = findHeaders(frame);
  const parts: Uint8Array[] = [];
  for (let at = headers.payload; at < frame.length; at += header.gsoSize) {
    const data = frame.subarray(at, Math.min(at + header.gsoSize, frame.length));
    const isLast = at + header.gsoSize >= frame.length;
    const made = Uint8Array.from(Buffer.concat([frame.subarray(0, headers.payload), data]));
    setNetworkLength(made, headers, parts.length);
    if (kind === NET_HEADER_GSO_UDP_L4) setWord(made, headers.l4 + 4, made.length - headers.l4);
    else setTcpFields(made, headers.l4, at - headers.payload, parts.length === 0, isLast);
    setWord(made, headers.l4 + (headers.protocol === TCP ? 16 : 6), transportChecksum(made));
    parts.push(made);
  }
  return parts;
}

function setTcpFields(
  made: Uint8Array,
  l4: number,
  offset: number,
  isFirst: boolean,
  isLast: boolean,
): void {
  const sequence = word(made, l4 + 4) * 0x10000 + word(made, l4 + 6) + offset;
  setWord(made, l4 + 4, Math.floor(sequence / 0x10000) & 0xffff);
  setWord(made, l4 + 6, sequence % 0x10000);
  let flags = made[l4 + 13] as number;
  if (!isLast) flags &= ~0x09; // FIN and PSH
  if (!isFirst) flags &= ~0x80; // CWR
  made[l4 + 13] = flags;
}

/** Sets the lengths in the IP header, and for IPv4 also the checksum and the ID plus `further`. */
function setNetworkLength(made: Uint8Array, headers: Headers, further: number): void {
  const { version, l3, l4 } = headers;
  if (version === 6) {
    setWord(made, l3 + 4, made.length - l3 - 40);
    return;
  }
  setWord(made, l3 + 2, made.length - l3);
  setWord(made, l3 + 4, word(made, l3 + 4) + further);
  setWord(made, l3 + 10, 0);
  const end = version === 4 ? l3 + ((made[l3] as number) & 15) * 4 : l4;
  setWord(made, l3 + 10, ~onesSum([made.subarray(l3, end)]) & 0xffff);
}

function fragments(frame: Uint8Array, header: NetHeader, fragmentId: number): Uint8Array[] {
  const headers = findHeaders(frame);
  const { version, l3, l4 } = headers;
  const whole = frame.slice();
  const isUndone = (header.flags & NET_HEADER_F_NEEDS_CSUM) !== 0;
  if (isUndone) setWord(whole, l4 + 6, transportChecksum(frame));
  // RFC 791: the offset counts units of 8 bytes.
  const unit = header.gsoSize - (header.gsoSize % 8);
  const parts: Uint8Array[] = [];
  for (let at = l4; at < whole.length; at += unit) {
    const data = whole.subarray(at, Math.min(at + unit, whole.length));
    const isLast = at + unit >= whole.length;
    const ip = whole.slice(0, l4);
    if (version === 4) setWord(ip, l3 + 6, (isLast ? 0 : 0x2000) | ((at - l4) / 8));
    else ip[nextHeaderAt(ip, l3)] = FRAGMENT;
    const extra = version === 6 ? fragmentHeader(at - l4, isLast, fragmentId) : new Uint8Array(0);
    const made = Uint8Array.from(Buffer.concat([ip, extra, data]));
    setNetworkLength(made, headers, 0);
    parts.push(made);
  }
  return parts;
}

/** RFC 8200, 4.5. */
function fragmentHeader(offset: number, isLast: boolean, id: number): Uint8Array {
  const header = new Uint8Array(8);
  header[0] = UDP;
  setWord(header, 2, offset | (isLast ? 0 : 1));
  setWord(header, 4, id >>> 16);
  setWord(header, 6, id & 0xffff);
  return header;
}

/** The offset of the byte that names the header after all extension headers. */
function nextHeaderAt(ip: Uint8Array, l3: number): number {
  let at = l3 + 6;
  let next = l3 + 40;
  while (next < ip.length) {
    at = next;
    next += ((ip[next + 1] as number) + 1) * 8;
  }
  return at;
}

/** The fragment ID of an IPv6 frame that is a fragment, or 0. */
export function fragmentIdOf(frame: Uint8Array): number {
  let l3 = 14;
  while (word(frame, l3 - 2) === 0x8100 || word(frame, l3 - 2) === 0x88a8) l3 += 4;
  if ((frame[l3] as number) >> 4 !== 6) return 0;
  let next = frame[l3 + 6] as number;
  let at = l3 + 40;
  while (EXTENSIONS.includes(next)) {
    next = frame[at] as number;
    at += ((frame[at + 1] as number) + 1) * 8;
  }
  return next === FRAGMENT ? word(frame, at + 4) * 0x10000 + word(frame, at + 6) : 0;
}
