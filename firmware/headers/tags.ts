// VLAN tags: what the switch found in front of each frame of a batch. It is kept beside the batch,
// and read from the guest once: whoever changes a tag afterwards, in the memory that we copy from,
// does not get it past the switch.
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
  /** Priority and VLAN, whether they came in a tag or follow from the port. */
  tci: u16;
  /** The EtherType behind, as a little-endian load sees it. */
  type: u16;
  /** Where that EtherType stands in the frame: 16 behind a tag, 12 where there was none. */
  typeAt: u32;
}

if (offsetof<FrameTag>() != FRAME_TAG_SIZE) ERROR('FrameTag has another size');

/** Destination and source. */
export const ADDRESSES_SIZE: u32 = 12;
export const TAG_SIZE: u32 = 4;
/** The shortest frame with a tag: addresses, tag, EtherType. */
export const TAGGED_SIZE_MIN: u32 = 18;

/** In `frame.offload`: the receiver in hand gets the frame with another tag than it came with. */
export const OFFLOAD_TAG: u32 = 0x80000000;

/** The tag of the frame with this place in the batch. */
export function tagAt(index: u32): FrameTag {
  return changetype<FrameTag>(FRAME_TAGS_BASE + index * FRAME_TAG_SIZE);
}

export function tagOf(frame: Frame): FrameTag {
  return tagAt((changetype<u32>(frame) - FRAMES_BASE) / FRAME_RECORD_SIZE);
}

export function vlanOf(tag: FrameTag): u32 {
  return u32(tag.tci) & 0xfff;
}
