// The record of a frame. The frame stays in guest memory while the switch decides; nothing is
// copied yet.
import { HEADER_BYTES_MAX, HEADER_SCRATCH_SIZE } from '../../layout/limits';
import { FRAME_RECORD_SIZE, FRAMES_BASE, HEADER_SCRATCH_BASE } from '../../layout/memory';

//   0         4        8          12             16     20       24       28
//   ┌─────────┬────────┬──────────┬──────────────┬──────┬────────┬────────┬──────┐
//   │ address │ length │ pieces   │ pieceCount   │ head │ target │ header │ mark │
//   ├─────────┴────────┼──────────┼──────────────┼──────┴────────┼────────┼──────┤
//   │ virtio-net header│ csum     │ offload      │ l3 l4 payload │ ahead  │ slots│   64 bytes
//   │ (first 8 bytes)  │ offset   │              │ isV4: u16 ×4  │        │      │
//   └──────────────────┴──────────┴──────────────┴───────────────┴────────┴──────┘
//   32                 40         44             48              56       60
@unmanaged
export class Frame {
  /** The linear address of the frame if it is in one piece, else 0. */
  address: u32;
  /** Bytes, including the Ethernet header. */
  length: u32;
  /** Its list of pieces, if it is in several pieces. */
  pieces: u32;
  pieceCount: u32;
  /** The head of its chain, needed to hand it back. */
  head: u32;
  /** The receive ring it goes to, or one of the TARGET_ values below. */
  target: u32;
  /** Where its leading bytes can be read in one piece: in place, or a copy in scratch. */
  header: u32;
  /** For the turn: whether it is listed for its target, or how many copies were flooded so far. */
  mark: u32;
  /** flags, gso_type, hdr_len, gso_size, csum_start of its virtio-net header; read once. */
  metadata: u64;
  checksumOffset: u32;
  /** The unfinished work: one OFFLOAD_ bit, or 0 for a finished frame; OFFLOAD_JOINED, _TUNNEL. */
  offload: u32;
  /** Offsets of the network header, the transport header and the payload of a super-frame. */
  l3: u16;
  l4: u16;
  payload: u16;
  /** For a super-frame: 0, IPV4, or IPV4_ONE_IDENTIFICATION. */
  isV4: u16;
  /** Its chain: slots after the last one taken where it begins, and the slots it takes. */
  ahead: u32;
  slots: u32;
}

if (offsetof<Frame>() != FRAME_RECORD_SIZE) ERROR('Frame has another size');

/** An IPv4 super-frame whose segments get consecutive identifications, … */
export const IPV4: u16 = 1;
/** … or all the same one, if it was joined from such frames (RFC 6864, 4.1). */
export const IPV4_ONE_IDENTIFICATION: u16 = 2;

/** To all ports but the sender's. */
export const TARGET_FLOOD: u32 = 0xffffffff;
/** TARGET_DROP + reason. */
export const TARGET_DROP: u32 = 0x80000000;

/** In `frame.offload`: joined from several frames. */
export const OFFLOAD_JOINED: u32 = 0x40000000;

/**
 * In `frame.offload`: a super-frame inside a tunnel. Its offsets are those of the inner headers.
 * Virtio cannot describe it to a receiver, so it is always delivered in segments.
 */
export const OFFLOAD_TUNNEL: u32 = 0x20000000;

/** In `frame.offload`: it may be longer than the MTU of the current receiver. */
export const OFFLOAD_LONG: u32 = 0x10000000;

export function frameAt(index: u32): Frame {
  return changetype<Frame>(FRAMES_BASE + index * FRAME_RECORD_SIZE);
}

export function headerScratch(index: u32): u32 {
  return HEADER_SCRATCH_BASE + index * HEADER_SCRATCH_SIZE;
}

/** Bytes that can be read at `frame.header`. */
export function headerLength(frame: Frame): u32 {
  return frame.address != 0 ? frame.length : min(frame.length, HEADER_BYTES_MAX);
}
