// The egress half of VLANs: whether a receiver gets a frame with a tag, and putting it there.
//
//   as it came:  [ addresses 12 │ (tag 4) │ type 2 │ rest ]
//   as it goes:  [ addresses 12 │ (tag 4) │ type 2 │ rest ]      tag and type are written, not copied
import { SEGMENT_SCRATCH_BASE } from '../../layout/memory';
import { PORT_F_TRUNK } from '../../layout/port';
import { NET_HEADER_F_NEEDS_CSUM } from '../../layout/virtio';
import { Frame, frameAt } from '../headers/frame';
import {
  ADDRESSES_SIZE,
  FrameTag,
  OFFLOAD_TAG,
  TAG_SIZE,
  tagAt,
  tagOf,
  vlanOf,
} from '../headers/tags';
import { copy } from '../memory/copy';
import { portRecordAt } from '../memory/port-record';

// The receiver in hand.
let untagged: u32 = 0;
let type: u32 = 0;
let isTrunk: bool = false;

/** The frame in hand goes with another tag than it came with, or without. */
export let isRetagging: bool = false;
/** Bytes that its header grows by, modulo 2^32: 4, 0 or −4. */
export let tagGrowth: u32 = 0;
/** Where its EtherType ends in the frame as it came. */
export let tagEnd: u32 = 0;
let tag: FrameTag = changetype<FrameTag>(0);
let isTagged: bool = false;

/** Marks those of the listed frames whose tag this receiver must not get as it came. */
export function markRetagged(port: u32, list: u32, start: u32, frames: u32): void {
  const record = portRecordAt(port);
  untagged = record.vlanUntagged;
  type = record.vlanType;
  isTrunk = (u32(record.flags) & PORT_F_TRUNK) != 0;
  for (let i = start; i < frames; i++) {
    const index = load<u32>(list + (i << 2));
    const frame = frameAt(index);
    // Whoever reads tags gets those that were checked. Elsewhere what came without one can go as it
    // is: the receiver's port has one VLAN.
    const isMarked = isTrunk || tagAt(index).typeAt != ADDRESSES_SIZE;
    frame.offload = (frame.offload & ~OFFLOAD_TAG) | (isMarked ? OFFLOAD_TAG : 0);
  }
}

/** Begins the delivery of a frame that is marked. */
export function openTag(frame: Frame): void {
  frame.offload &= ~OFFLOAD_TAG;
  tag = tagOf(frame);
  // Without its own tag a trunk would read what is behind, a tag of the sender's choice, as VLAN.
  isTagged = vlanOf(tag) != untagged || (isTrunk && u32(tag.type) == type);
  tagEnd = tag.typeAt + 2;
  tagGrowth = ADDRESSES_SIZE + 2 + (isTagged ? TAG_SIZE : 0) - tagEnd;
  isRetagging = true;
}

export function closeTag(): void {
  isRetagging = false;
}

/** Writes the header of a whole frame to scratch; returns where it begins. */
export function makeTagged(frame: Frame): u32 {
  copy(SEGMENT_SCRATCH_BASE, frame.header, ADDRESSES_SIZE);
  return putTag();
}

/** Gives the header that was made in scratch its tag; returns where it begins now. */
export function putTag(): u32 {
  const start = SEGMENT_SCRATCH_BASE - tagGrowth;
  const target = load<u64>(SEGMENT_SCRATCH_BASE);
  const source = load<u32>(SEGMENT_SCRATCH_BASE, 8);
  store<u64>(start, target);
  store<u32>(start, source, 8);
  if (isTagged) {
    store<u16>(start, u16(type), 12);
    store<u16>(start, bswap<u16>(tag.tci), 14);
  }
  store<u16>(SEGMENT_SCRATCH_BASE + tagEnd - 2, tag.type);
  return start;
}

/** The first 8 bytes of the virtio-net header (5.1.6.2), their offsets moved with the header. */
export function retagMetadata(metadata: u64): u64 {
  const headerLength = u32(metadata >> 16) & 0xffff;
  const moved = headerLength + tagGrowth;
  // A hint, and its sender's own: what does not fit is left out.
  const hint = headerLength == 0 || moved > 0xffff ? 0 : moved;
  let start = u32(metadata >> 48);
  if (metadata & NET_HEADER_F_NEEDS_CSUM) start += tagGrowth;
  const between = metadata & 0x0000_ffff_0000_ffff;
  return between | (u64(hint) << 16) | (u64(start & 0xffff) << 48);
}
