// Software segmentation: makes the headers of each segment of a super-frame in scratch, from the
// headers of the frame (RFC 9293 for TCP; reference: Linux's tcp_gso_segment and
// __udp_gso_segment).
//
//   super-frame:  [ L2 L3 L4 │ payload ........................ ]
//   segment i:    [ L2 L3 L4 │ payload[i × size …] ]   new lengths, IP-ID, sequence, flags, checksums
//   fragment i:   [ L2 L3    │ (L4 payload)[i × size …] ]   for a datagram that is fragmented (UFO)

import { SEGMENT_SCRATCH_BASE } from '../../layout/memory';
import { PROTOCOL_FRAGMENT, PROTOCOL_UDP } from '../../layout/protocols';
import { OFFLOAD_CHECKSUM, OFFLOAD_TSO4, OFFLOAD_TSO6, OFFLOAD_UFO } from '../../layout/virtqueue';
import { batch } from '../headers/batch';
import { Frame, IPV4_ONE_IDENTIFICATION, OFFLOAD_TUNNEL } from '../headers/frame';
import { copy } from '../memory/copy';
import { fold, sumBytes, sumFrame, swap } from './checksum';
import { checksumStartOf, isChecksumUndone, segmentUnit } from './metadata';
import { finishOuter } from './tunnel';

const TCP_FIN_PSH: u32 = 0x09;
const TCP_CWR: u32 = 0x80;
const TCP_FLAGS: u32 = 13;
const TCP_CHECKSUM: u32 = 16;
const UDP_CHECKSUM: u32 = 6;
const FRAGMENT_HEADER_SIZE: u32 = 8;

/** Result of `makeSegment`: the headers' length, and the bytes of the frame that follow them. */
export let segmentHeaders: u32 = 0;
export let segmentOffset: u32 = 0;
export let segmentLength: u32 = 0;

// What changes from segment to segment is in the record of the batch, since a delivery may wait
// between two of them. It is read once, and all fragments share their identification.

/** The sum of the segment's data. */
let dataSum: u32 = 0;
let fragmentsMade: u32 = 0;
let processorBits: u32 = 0;

/** Two processors must not use the same identification for datagrams of one guest. */
export function configureFragments(processor: u32): void {
  processorBits = processor << 28;
}

export function openSegments(frame: Frame): void {
  const header = frame.header;
  const now = batch();
  now.partUnit = segmentUnit(frame);
  if (isV4(frame)) now.partIdentifier = swap(load<u16>(header + frame.l3, 4));
  if (isTcp(frame)) {
    now.partSequence = bswap<u32>(load<u32>(header + frame.l4, 4));
    now.partTcpFlags = load<u8>(header + frame.l4, TCP_FLAGS);
  }
  if (frame.offload == OFFLOAD_UFO) {
    now.partDatagramChecksum = finishedDatagramChecksum(frame);
    now.partFragmentId = nextFragmentId();
  } else {
    now.partPseudoSum = pseudoHeader(frame);
  }
}

/** A bijection of the counter, so that values repeat late but are scattered (RFC 7739, 3.5). */
function nextFragmentId(): u32 {
  fragmentsMade += 1;
  let mixed = (fragmentsMade & 0x0fffffff) | processorBits;
  mixed = (mixed ^ (mixed >> 16)) * 0x85ebca6b;
  mixed = (mixed ^ (mixed >> 13)) * 0xc2b2ae35;
  return mixed ^ (mixed >> 16);
}

/** Prepares segment `index` of `count`: its headers at SEGMENT_SCRATCH_BASE. */
export function makeSegment(frame: Frame, index: u32, count: u32): void {
  if (frame.offload == OFFLOAD_UFO) {
    makeFragment(frame, index, count);
    return;
  }
  const unit = batch().partUnit;
  segmentHeaders = frame.payload;
  segmentOffset = frame.payload + index * unit;
  segmentLength = min(unit, frame.length - segmentOffset);
  copy(SEGMENT_SCRATCH_BASE, frame.header, segmentHeaders);
  writeNetworkHeader(frame, index, frame.payload - frame.l3 + segmentLength);
  const l4 = SEGMENT_SCRATCH_BASE + frame.l4;
  if (isTcp(frame)) {
    store<u32>(l4, bswap<u32>(batch().partSequence + index * unit), 4);
    let flags = batch().partTcpFlags;
    if (index + 1 < count) flags &= ~TCP_FIN_PSH; // they belong to the end of the data
    if (index > 0) flags &= ~TCP_CWR; // RFC 3168: the window was reduced once
    store<u8>(l4, u8(flags), TCP_FLAGS);
    finishTransport(frame, TCP_CHECKSUM);
  } else {
    store<u16>(l4, u16(swap(frame.payload - frame.l4 + segmentLength)), 4);
    finishTransport(frame, UDP_CHECKSUM);
  }
  if (frame.offload & OFFLOAD_TUNNEL) {
    finishOuter(frame, index, segmentHeaders + segmentLength, dataSum);
  }
}

/** Prepares a frame that lacks only its checksum: the headers up to and including the checksum. */
export function makeChecksummed(frame: Frame): void {
  const start = checksumStartOf(frame.metadata);
  const field = start + frame.checksumOffset;
  segmentHeaders = field + 2;
  segmentOffset = field + 2;
  segmentLength = frame.length - segmentOffset;
  copy(SEGMENT_SCRATCH_BASE, frame.header, segmentHeaders);
  // The field already holds the sum of the pseudo-header (5.1.6.2).
  store<u16>(
    SEGMENT_SCRATCH_BASE + field,
    u16(finished(sumFrame(frame, start, frame.length - start))),
  );
}

function makeFragment(frame: Frame, index: u32, count: u32): void {
  const unit = batch().partUnit;
  const start = index * unit; // in the IP payload
  const length = min(unit, frame.length - frame.l4 - start);
  const isLast = index + 1 == count;
  copy(SEGMENT_SCRATCH_BASE, frame.header, frame.payload);
  let headers: u32 = frame.l4;
  if (isV4(frame)) {
    store<u16>(SEGMENT_SCRATCH_BASE + frame.l3, u16(swap((isLast ? 0 : 0x2000) | (start >> 3))), 6);
    writeNetworkHeader(frame, 0, frame.l4 - frame.l3 + length);
  } else {
    headers += FRAGMENT_HEADER_SIZE;
    writeFragmentHeader(frame, start, isLast);
    writeNetworkHeader(frame, 0, headers - frame.l3 + length);
  }
  segmentHeaders = headers;
  segmentOffset = frame.l4 + start;
  segmentLength = length;
  if (index > 0) return;
  // The first fragment carries the UDP header, with the checksum of the whole datagram.
  copy(SEGMENT_SCRATCH_BASE + headers, frame.header + frame.l4, 8);
  store<u16>(SEGMENT_SCRATCH_BASE + headers, u16(batch().partDatagramChecksum), UDP_CHECKSUM);
  segmentHeaders += 8;
  segmentOffset += 8;
  segmentLength -= 8;
}

/** RFC 8200, 4.5. The header goes after all extension headers, so the last of them refers to it. */
function writeFragmentHeader(frame: Frame, start: u32, isLast: bool): void {
  const fragment = SEGMENT_SCRATCH_BASE + frame.l4;
  store<u8>(fragment, u8(PROTOCOL_UDP));
  store<u8>(fragment, 0, 1);
  store<u16>(fragment, u16(swap(start | (isLast ? 0 : 1))), 2);
  store<u32>(fragment, bswap<u32>(batch().partFragmentId), 4);
  store<u8>(nextHeaderField(frame), u8(PROTOCOL_FRAGMENT));
}

/** The address of the next-header field that identifies the transport header. */
function nextHeaderField(frame: Frame): u32 {
  const ip = SEGMENT_SCRATCH_BASE + frame.l3;
  let field = ip + 6;
  let at: u32 = 40;
  while (at < frame.l4 - frame.l3) {
    field = ip + at;
    at += (u32(load<u8>(ip + at, 1)) + 1) << 3;
  }
  return field;
}

/** Total length, identification and header checksum (IPv4), or the payload length (IPv6). */
function writeNetworkHeader(frame: Frame, index: u32, length: u32): void {
  const ip = SEGMENT_SCRATCH_BASE + frame.l3;
  if (!isV4(frame)) {
    store<u16>(ip, u16(swap(length - 40)), 4);
    return;
  }
  store<u16>(ip, u16(swap(length)), 2);
  const further = frame.isV4 == IPV4_ONE_IDENTIFICATION ? 0 : index;
  store<u16>(ip, u16(swap((batch().partIdentifier + further) & 0xffff)), 4);
  store<u16>(ip, 0, 10);
  store<u16>(ip, u16(~fold(sumBytes(ip, frame.l4 - frame.l3))), 10);
}

function finishTransport(frame: Frame, field: u32): void {
  const l4 = SEGMENT_SCRATCH_BASE + frame.l4;
  const size = frame.payload - frame.l4;
  store<u16>(l4 + field, 0);
  dataSum = fold(sumFrame(frame, segmentOffset, segmentLength));
  const sum =
    batch().partPseudoSum +
    u64(swap(size + segmentLength)) +
    u64(fold(sumBytes(l4, size))) +
    u64(dataSum);
  // For TCP, 0 stays 0 as in Linux (gso_make_checksum): only in UDP it means "no checksum".
  store<u16>(l4 + field, u16(field == UDP_CHECKSUM ? finished(sum) : ~fold(sum) & 0xffff));
}

function finishedDatagramChecksum(frame: Frame): u32 {
  if (isChecksumUndone(frame)) return finished(sumFrame(frame, frame.l4, frame.length - frame.l4));
  return u32(load<u16>(frame.header + frame.l4, UDP_CHECKSUM));
}

/**
 * The sum that the sender left in the checksum field, without the length of the whole frame. It is
 * not recomputed from the addresses: with a routing header, the final destination counts (RFC 8200,
 * 8.1).
 */
function pseudoHeader(frame: Frame): u64 {
  const left = u32(
    load<u16>(frame.header + frame.l4 + (isTcp(frame) ? TCP_CHECKSUM : UDP_CHECKSUM)),
  );
  return u64(left) + u64(~swap(frame.length - frame.l4) & 0xffff);
}

/** The complement; 0 is sent as 0xffff, which is the same number but never means "no checksum". */
function finished(sum: u64): u32 {
  const checksum = ~fold(sum) & 0xffff;
  return checksum == 0 ? 0xffff : checksum;
}

function isTcp(frame: Frame): bool {
  return (frame.offload & (OFFLOAD_TSO4 | OFFLOAD_TSO6)) != 0;
}

function isV4(frame: Frame): bool {
  return frame.isV4 != 0;
}

/** Whether the frame needs segmentation, not just a checksum. */
export function isSuperFrame(frame: Frame): bool {
  return (frame.offload & ~OFFLOAD_CHECKSUM) != 0;
}
