// Makes one frame of a run: the corrected headers of its first frame, and the data of all frames in
// place. It replaces the first frame in the batch and is a super-frame like any other.
import { RUN_LINKS_BASE, RUN_PIECES_BASE } from '../../layout/memory';
import {
  NET_HEADER_F_NEEDS_CSUM,
  NET_HEADER_GSO_ECN,
  NET_HEADER_GSO_TCPV4,
  NET_HEADER_GSO_TCPV6,
} from '../../layout/virtio';
import { OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../layout/virtqueue';
import { Frame, frameAt, IPV4, IPV4_ONE_IDENTIFICATION, OFFLOAD_JOINED } from '../headers/frame';
import {
  flagsAt,
  IPV4_CHECKSUM,
  pseudoHeaderSum,
  TCP_CHECKSUM,
  TCP_CWR,
  TCP_FLAGS,
} from './candidate';
import { fold, sumBytes, swap } from './checksum';
import { ONE_IDENTIFICATION, Run } from './run';

/** Where the next piece is recorded. */
let nextPiece: u32 = RUN_PIECES_BASE;

/** Called before the first run of a batch. */
export function openJoins(): void {
  nextPiece = RUN_PIECES_BASE;
}

/** A run of one frame stays as it is. */
export function closeRun(run: Run): void {
  if (run.count == 1) return;
  const pieces = nextPiece;
  const frame = frameAt(run.first);
  note(run.header, run.dataOffset);
  let index = run.first;
  for (let i: u32 = 0; i < run.count; i++) {
    noteData(frameAt(index), run.dataOffset);
    index = load<u32>(RUN_LINKS_BASE + (index << 2));
  }
  correctHeaders(run);
  frame.address = 0;
  frame.pieces = pieces;
  frame.pieceCount = (nextPiece - pieces) >> 3;
  frame.header = run.header;
  frame.length = run.length;
  frame.metadata = metadataOf(run);
  frame.checksumOffset = TCP_CHECKSUM;
  frame.offload = (run.isV6 != 0 ? OFFLOAD_TSO6 : OFFLOAD_TSO4) | OFFLOAD_JOINED;
  frame.l3 = u16(run.l3);
  frame.l4 = u16(run.l4);
  frame.payload = u16(run.dataOffset);
  const isOne = run.identification == ONE_IDENTIFICATION;
  frame.isV4 = run.isV6 != 0 ? 0 : isOne ? IPV4_ONE_IDENTIFICATION : IPV4;
}

function note(address: u32, length: u32): void {
  store<u32>(nextPiece, address);
  store<u32>(nextPiece, length, 4);
  nextPiece += 8;
}

function noteData(frame: Frame, offset: u32): void {
  if (frame.address != 0) {
    note(frame.address + offset, frame.length - offset);
    return;
  }
  let skip = offset;
  for (let i: u32 = 0; i < frame.pieceCount; i++) {
    const entry = frame.pieces + (i << 3);
    const size = load<u32>(entry, 4);
    if (skip < size) note(load<u32>(entry) + skip, size - skip);
    skip -= min(skip, size);
  }
}

/** Lengths, FIN and PSH of the last frame, the pseudo-header sum as drivers leave it (5.1.6.2). */
function correctHeaders(run: Run): void {
  const ip = run.header + run.l3;
  const length = run.length - run.l3;
  if (run.isV6 != 0) {
    store<u16>(ip, u16(swap(length - 40)), 4);
  } else {
    store<u16>(ip, u16(swap(length)), 2);
    store<u16>(ip, 0, IPV4_CHECKSUM);
    store<u16>(ip, u16(~fold(sumBytes(ip, run.l4 - run.l3))), IPV4_CHECKSUM);
  }
  const tcp = run.header + run.l4;
  store<u8>(tcp, u8(flagsAt(run.header, run.l4) | run.lastFlags), TCP_FLAGS);
  const sum = pseudoHeaderSum(run.header, run.l3, run.isV6 != 0, run.length - run.l4);
  store<u16>(tcp, u16(fold(sum)), TCP_CHECKSUM);
}

/** The first 8 bytes of the virtio-net header. */
function metadataOf(run: Run): u64 {
  let type: u32 = run.isV6 != 0 ? NET_HEADER_GSO_TCPV6 : NET_HEADER_GSO_TCPV4;
  if (flagsAt(run.header, run.l4) & TCP_CWR) type |= NET_HEADER_GSO_ECN;
  const lower = u64(NET_HEADER_F_NEEDS_CSUM | (type << 8) | (run.dataOffset << 16));
  return lower | (u64(run.unit) << 32) | (u64(run.l4) << 48);
}
