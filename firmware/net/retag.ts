// The egress half of VLANs: decides whether a receiver gets a frame with a tag, and writes it.
//
//   received:  [ addresses 12 │ (tag 4) │ type 2 │ rest ]
//   sent:      [ addresses 12 │ (tag 4) │ type 2 │ rest ]      tag and type are written, not copied
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

// The current receiver.
let untagged: u32 = 0;
let type: u32 = 0;
let isTrunk: bool = false;

/** The current frame is sent with another tag than it came with, or without one. */
export let isRetagging: bool = false;
/** Bytes that its header grows by, modulo 2^32: 4, 0 or −4. */
export let tagGrowth: u32 = 0;
/** The offset after its EtherType, in the frame as received. */
export let tagEnd: u32 = 0;
let tag: FrameTag = changetype<FrameTag>(0);
let isTagged: bool = false;

/** Marks the listed frames whose tag must be rewritten for this receiver. */
export function markRetagged(port: u32, list: u32, start: u32, frames: u32): void {
  const record = portRecordAt(port);
  untagged = record.vlanUntagged;
  type = record.vlanType;
  isTrunk = (u32(record.flags) & PORT_F_TRUNK) != 0;
  for (let i = start; i < frames; i++) {
    const index = load<u32>(list + (i << 2));
    const frame = frameAt(index);
    // A receiver that reads tags gets only those that were checked. For others, an untagged frame
    // can stay as it is: the receiver's port has a single VLAN.
    const isMarked = isTrunk || tagAt(index).typeAt != ADDRESSES_SIZE;
    frame.offload = (frame.offload & ~OFFLOAD_TAG) | (isMarked ? OFFLOAD_TAG : 0);
  }
}

/** Begins the delivery of a marked frame. */
export function openTag(frame: Frame): void {
  frame.offload &= ~OFFLOAD_TAG;
  tag = tagOf(frame);
  // Without a tag, a trunk would take what follows, a tag chosen by the sender, as the VLAN.
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

/** Inserts the tag into the header in scratch; returns where the header begins now. */
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

/** Moves the offsets in the first 8 bytes of the virtio-net header (5.1.6.2) with the header. */
export function retagMetadata(metadata: u64): u64 {
  const headerLength = u32(metadata >> 16) & 0xffff;
  const moved = headerLength + tagGrowth;
  // hdr_len is only a hint from the sender: it becomes 0 if it does not fit.
  const hint = headerLength == 0 || moved > 0xffff ? 0 : moved;
  let start = u32(metadata >> 48);
  if (metadata & NET_HEADER_F_NEEDS_CSUM) start += tagGrowth;
  const between = metadata & 0x0000_ffff_0000_ffff;
  return between | (u64(hint) << 16) | (u64(start & 0xffff) << 48);
}
