// Checks the offloads that a guest requests against the frame itself. A frame with wrong metadata
// is counted and dropped; nothing is guessed. Segmentation relies on the offsets found here, which
// are read from the guest once.

import { DROP_CHECKSUM_FIELD, DROP_HEADER_OFFLOAD, DROP_SEGMENTATION } from '../../layout/counters';
import {
  FRAME_SIZE_MIN,
  HEADER_BYTES_MAX,
  SEGMENT_SIZE_MIN,
  SEGMENTS_PER_FRAME_MAX,
} from '../../layout/limits';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '../../layout/protocols';
import {
  NET_HEADER_F_NEEDS_CSUM,
  NET_HEADER_GSO_ECN,
  NET_HEADER_GSO_TCPV4,
  NET_HEADER_GSO_TCPV6,
  NET_HEADER_GSO_UDP,
  NET_HEADER_GSO_UDP_L4,
} from '../../layout/virtio';
import {
  OFFLOAD_CHECKSUM,
  OFFLOAD_ECN,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
  OFFLOAD_UFO,
  OFFLOAD_USO4,
  OFFLOAD_USO6,
} from '../../layout/virtqueue';
import { Frame, headerLength, IPV4, OFFLOAD_TUNNEL, TARGET_DROP } from '../headers/frame';
import {
  findTransport,
  isIpv6,
  networkOffset,
  protocol,
  transportOffset,
} from '../headers/headers';
import { findInner } from './tunnel';

/** Headers that are rewritten are copied to a scratch area of this size. */
export const HEADERS_SIZE_MAX: u32 = HEADER_BYTES_MAX;

const TCP_CHECKSUM: u32 = 16;
const UDP_CHECKSUM: u32 = 6;

const HEADER_LENGTH_BITS: u64 = 0xffff0000;

/** NEEDS_CSUM among the flags, and all of gso_type. */
const UNDONE_BITS: u32 = 0xff00 | NET_HEADER_F_NEEDS_CSUM;

function flagsOf(metadata: u64): u32 {
  return u32(metadata) & 0xff;
}

export function gsoTypeOf(metadata: u64): u32 {
  return (u32(metadata) >> 8) & 0xff;
}

/** hdr_len is only a hint (Linux writes the length of its first buffer there). */
function headerLengthOf(metadata: u64): u32 {
  return u32(metadata >> 16) & 0xffff;
}

function gsoSizeOf(metadata: u64): u32 {
  return u32(metadata >> 32) & 0xffff;
}

export function checksumStartOf(metadata: u64): u32 {
  return u32(metadata >> 48);
}

export function isChecksumUndone(frame: Frame): bool {
  return (flagsOf(frame.metadata) & NET_HEADER_F_NEEDS_CSUM) != 0;
}

/** Payload bytes of each segment. Fragments are multiples of 8 (RFC 791). */
export function segmentUnit(frame: Frame): u32 {
  const size = gsoSizeOf(frame.metadata);
  return frame.offload == OFFLOAD_UFO ? size & ~7 : size;
}

/** How many frames a super-frame becomes. */
export function segmentCount(frame: Frame): u32 {
  const unit = segmentUnit(frame);
  const bytes = frame.length - (frame.offload == OFFLOAD_UFO ? frame.l4 : frame.payload);
  return (bytes + unit - 1) / unit;
}

/** What the headers of a super-frame add to its length on a wire, where each segment has them. */
export function repeatedBytes(frame: Frame, segments: u32): u32 {
  return (segments - 1) * (frame.offload == OFFLOAD_UFO ? frame.l4 : frame.payload);
}

/**
 * Reads and checks the virtio-net header (5.1.6.2) of a frame. Sets `offload` (0: the frame is
 * finished) or a drop. `may` are the OFFLOAD_ bits that the guest negotiated. Returns the number of
 * segments that delivery to one receiver may need.
 */
export function readMetadata(frame: Frame, headerSize: u32, may: u32): u32 {
  const header = frame.header - headerSize;
  const metadata = load<u64>(header); // one load each, so that no field is read twice
  frame.offload = 0;
  // "The device MUST ignore flag bits that it does not recognize."
  if ((u32(metadata) & UNDONE_BITS) == 0) return 0;
  const gsoType = gsoTypeOf(metadata);
  frame.metadata = metadata;
  frame.checksumOffset = u32(load<u16>(header, 8));
  const reason = gsoType == 0 ? checkChecksum(frame, may) : checkSegmentation(frame, gsoType, may);
  if (reason >= 0) {
    frame.target = TARGET_DROP + u32(reason);
    return 0;
  }
  return gsoType == 0 ? 0 : segmentCount(frame);
}

/** −1, or a drop reason. */
function checkChecksum(frame: Frame, may: u32): i32 {
  if (!(may & OFFLOAD_CHECKSUM)) return DROP_HEADER_OFFLOAD;
  const start = checksumStartOf(frame.metadata);
  const field = start + frame.checksumOffset;
  if (start < FRAME_SIZE_MIN || field + 2 > min(frame.length, HEADERS_SIZE_MAX)) {
    return DROP_CHECKSUM_FIELD;
  }
  if (headerLengthOf(frame.metadata) > frame.length) return DROP_CHECKSUM_FIELD; // hdr_len is wrong
  frame.offload = OFFLOAD_CHECKSUM;
  return -1;
}

function checkSegmentation(frame: Frame, gsoType: u32, may: u32): i32 {
  const kind = gsoType & ~NET_HEADER_GSO_ECN;
  const isEcn = (gsoType & NET_HEADER_GSO_ECN) != 0;
  // Every HOST_ feature needs it (5.1.3.1).
  if (!(may & OFFLOAD_CHECKSUM)) return DROP_HEADER_OFFLOAD;
  const isTcp = kind == NET_HEADER_GSO_TCPV4 || kind == NET_HEADER_GSO_TCPV6;
  const transport = isTcp ? PROTOCOL_TCP : PROTOCOL_UDP;
  const readable = min(headerLength(frame), HEADERS_SIZE_MAX);
  if (!findTransport(frame.header, headerLength(frame))) return DROP_SEGMENTATION;
  const start = checksumStartOf(frame.metadata);
  const isInTunnel = start > transportOffset && kind != NET_HEADER_GSO_UDP;
  if (isInTunnel && !findInner(frame, start, readable, transport)) return DROP_SEGMENTATION;
  const offload = offloadOf(kind);
  if (offload == 0) return DROP_SEGMENTATION;
  if (!(may & offload) || (isEcn && !(may & OFFLOAD_ECN))) return DROP_HEADER_OFFLOAD;
  if ((protocol != transport && !isInTunnel) || (isEcn && !isTcp)) return DROP_SEGMENTATION;
  frame.l3 = u16(networkOffset);
  frame.l4 = u16(transportOffset);
  frame.isV4 = isIpv6() ? 0 : IPV4;
  if (gsoSizeOf(frame.metadata) < SEGMENT_SIZE_MIN) return DROP_SEGMENTATION;
  if (headerLengthOf(frame.metadata) > frame.length) return DROP_SEGMENTATION; // hdr_len is wrong
  // The length field of IPv4 includes its own header. That of IPv6 does not, so it always suffices.
  if (frame.isV4 != 0 && frame.length - frame.l3 > 0xffff) return DROP_SEGMENTATION;
  if (!checkTransport(frame, isTcp, kind == NET_HEADER_GSO_UDP)) return DROP_SEGMENTATION;
  frame.offload = isInTunnel ? offload | OFFLOAD_TUNNEL : offload;
  if (segmentCount(frame) > SEGMENTS_PER_FRAME_MAX) return DROP_SEGMENTATION;
  // The receiver is told the header length that was found, not the one that the sender claims.
  frame.metadata = (frame.metadata & ~HEADER_LENGTH_BITS) | (u64(frame.payload) << 16);
  return -1;
}

/** The OFFLOAD_ bit of a gso_type for the IP version that was found; 0 if they do not match. */
function offloadOf(kind: u32): u32 {
  const isV6 = isIpv6();
  if (kind == NET_HEADER_GSO_TCPV4) return isV6 ? 0 : OFFLOAD_TSO4;
  if (kind == NET_HEADER_GSO_TCPV6) return isV6 ? OFFLOAD_TSO6 : 0;
  if (kind == NET_HEADER_GSO_UDP) return OFFLOAD_UFO;
  if (kind == NET_HEADER_GSO_UDP_L4) return isV6 ? OFFLOAD_USO6 : OFFLOAD_USO4;
  return 0;
}

/** Finds the payload. False if the checksum field is not at the protocol's offset. */
function checkTransport(frame: Frame, isTcp: bool, mayBeFinished: bool): bool {
  const readable = min(headerLength(frame), HEADERS_SIZE_MAX);
  let size: u32 = 8;
  if (isTcp) {
    if (frame.l4 + 20 > readable) return false;
    size = (u32(load<u8>(frame.header + frame.l4, 12)) >> 4) << 2;
    if (size < 20) return false;
  }
  const payload = frame.l4 + size;
  if (payload > readable || payload >= frame.length) return false;
  frame.payload = u16(payload);
  if (!isChecksumUndone(frame)) return mayBeFinished; // only for a datagram to be fragmented
  const offset = isTcp ? TCP_CHECKSUM : UDP_CHECKSUM;
  return checksumStartOf(frame.metadata) == frame.l4 && frame.checksumOffset == offset;
}
