// VLAN tags: what the switch found at the front of each frame of a batch. A tag is read from the
// guest once and kept next to the batch: a guest that changes it afterwards, in the memory that the
// frame is copied from, cannot bypass the switch.
import {
  FRAME_RECORD_SIZE,
  FRAME_TAG_SIZE,
  FRAME_TAGS_BASE,
  FRAMES_BASE,
} from '../../layout/memory';
import { Frame } from './frame';

//    …  │ destination │ source │ tag: type, TCI │ EtherType │ …       TCI = PCP 3, DEI 1, VLAN 12 bits
//       0             6        12               16
@unmanaged
export class FrameTag {
  /** Priority and VLAN, from the tag or from the port. */
  tci: u16;
  /** The EtherType after the tag, in the byte order of a little-endian load. */
  type: u16;
  /** The offset of that EtherType in the frame: 16 after a tag, 12 without one. */
  typeAt: u32;
}

if (offsetof<FrameTag>() != FRAME_TAG_SIZE) ERROR('FrameTag has another size');

/** Destination and source. */
export const ADDRESSES_SIZE: u32 = 12;
export const TAG_SIZE: u32 = 4;
/** The shortest frame with a tag: addresses, tag, EtherType. */
export const TAGGED_SIZE_MIN: u32 = 18;

/** In `frame.offload`: the current receiver gets the frame with a different tag, or none. */
export const OFFLOAD_TAG: u32 = 0x80000000;

/** The tag of frame `index` of the batch. */
export function tagAt(index: u32): FrameTag {
  return changetype<FrameTag>(FRAME_TAGS_BASE + index * FRAME_TAG_SIZE);
}

export function tagOf(frame: Frame): FrameTag {
  return tagAt((changetype<u32>(frame) - FRAMES_BASE) / FRAME_RECORD_SIZE);
}

export function vlanOf(tag: FrameTag): u32 {
  return u32(tag.tci) & 0xfff;
}
