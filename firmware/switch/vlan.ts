// Ports with flags. If their link is down, they send nothing. If they are in VLANs, this is the
// ingress half: which VLAN a frame belongs to, whether its port may send there, and which ports of
// that VLAN it is for (IEEE 802.1Q, 6.9 and 8.6).
//
//   tag ─► VLAN ─► member? ─► learn, look up in this VLAN ─► one member, or all
//    └ none: the port's untagged VLAN
import {
  DROP_CHECKSUM_FIELD,
  DROP_LINK_DOWN,
  DROP_LINK_LOCAL,
  DROP_QUEUE_DISABLED,
  DROP_RUNT,
  DROP_SOURCE_ADDRESS,
  DROP_VLAN_FILTER,
} from '../../layout/counters';
import { PORT_F_LINK_DOWN, PORT_F_TRUNK } from '../../layout/port';
import { VLAN_ANY } from '../../layout/switch';
import { destinationAt, isGroup, isLinkLocal, sourceAt } from '../headers/addresses';
import { Frame, frameAt, TARGET_DROP, TARGET_FLOOD } from '../headers/frame';
import {
  ADDRESSES_SIZE,
  FrameTag,
  TAG_SIZE,
  TAGGED_SIZE_MIN,
  tagAt,
  vlanOf,
} from '../headers/tags';
import { isMember, portRecordAt } from '../memory/port-record';
import { checksumStartOf, isChecksumUndone } from '../offload/metadata';
import { TARGETS_DIFFER, unicast } from './classify';
import { learn, lookup, noteOwnElsewhere, PORT_UNKNOWN } from './fdb';

// The current port, and the last learned source and looked-up destination: a burst usually has one
// of each.
let flags: u32 = 0;
let untagged: u32 = 0;
let type: u32 = 0;
let priority: u32 = 0;
let lastSource: u64 = 0;
let lastTarget: u64 = 0;
let lastPort: i32 = PORT_UNKNOWN;

/** Like `classify`, for a port with flags. */
export function classifyFlagged(port: u32, frames: u32, isDraining: bool): u32 {
  const record = portRecordAt(port);
  flags = record.flags;
  untagged = record.vlanUntagged;
  type = record.vlanType;
  priority = record.vlanPriority;
  lastSource = 0;
  lastTarget = 0;
  lastPort = PORT_UNKNOWN;
  let common: u32 = TARGETS_DIFFER;
  for (let i: u32 = 0; i < frames; i++) {
    const frame = frameAt(i);
    if (frame.target == 0) {
      frame.target = isDraining ? TARGET_DROP + DROP_QUEUE_DISABLED : targetOf(port, frame, i);
    }
    if (i == 0) common = frame.target;
    else if (frame.target != common) common = TARGETS_DIFFER;
  }
  return common >= TARGET_DROP ? TARGETS_DIFFER : common;
}

function targetOf(port: u32, frame: Frame, index: u32): u32 {
  if (flags & PORT_F_LINK_DOWN) return TARGET_DROP + DROP_LINK_DOWN;
  const target = destinationAt(index);
  const source = sourceAt(index);
  const tag = tagAt(index);
  if (isGroup(source)) return TARGET_DROP + DROP_SOURCE_ADDRESS;
  const reason = readTag(frame, tag);
  if (reason >= 0) return TARGET_DROP + u32(reason);
  const vlan = vlanOf(tag);
  if (!isMember(port, vlan)) return TARGET_DROP + DROP_VLAN_FILTER;
  const domain = u64(vlan) << 48;
  if ((domain | source) != lastSource) {
    learnInVlan(port, vlan, source, target);
    lastSource = domain | source;
  }
  if (isGroup(target)) {
    return isLinkLocal(target) ? TARGET_DROP + DROP_LINK_LOCAL : TARGET_FLOOD;
  }
  if ((domain | target) != lastTarget) {
    lastPort = lookUpInVlan(vlan, target);
    lastTarget = domain | target;
  }
  return lastPort == PORT_UNKNOWN ? TARGET_FLOOD : unicast(port, u32(lastPort), frame);
}

/** Fills in the tag of a frame; returns −1, or a drop reason. */
function readTag(frame: Frame, tag: FrameTag): i32 {
  const outer = u32(load<u16>(frame.header, ADDRESSES_SIZE));
  if (outer != type) {
    tag.tci = u16(priority | untagged);
    tag.type = u16(outer);
    tag.typeAt = ADDRESSES_SIZE;
    return -1;
  }
  if (frame.length < TAGGED_SIZE_MIN) return DROP_RUNT; // nothing would follow the tag
  if (frame.offload != 0 && isChecksumUndone(frame)) {
    if (checksumStartOf(frame.metadata) < TAGGED_SIZE_MIN) return DROP_CHECKSUM_FIELD;
  }
  const tci = u32(bswap<u16>(load<u16>(frame.header, ADDRESSES_SIZE + 2)));
  const hasVlan = (tci & 0xfff) != 0; // else it is a priority tag
  if (hasVlan && !(flags & PORT_F_TRUNK)) return DROP_VLAN_FILTER;
  tag.tci = u16(hasVlan ? tci : tci | untagged);
  tag.type = load<u16>(frame.header, ADDRESSES_SIZE + TAG_SIZE);
  tag.typeAt = ADDRESSES_SIZE + TAG_SIZE;
  return -1;
}

/** A trunk's own address is known in all of its VLANs; no other port may take it there. */
function learnInVlan(port: u32, vlan: u32, source: u64, target: u64): void {
  const own = (u64(VLAN_ANY) << 48) | source;
  const owner = lookup(own);
  if (owner != PORT_UNKNOWN && isMember(u32(owner), vlan)) noteOwnElsewhere(own, port, target);
  else learn((u64(vlan) << 48) | source, port, target);
}

function lookUpInVlan(vlan: u32, target: u64): i32 {
  let port = lookup((u64(vlan) << 48) | target);
  if (port == PORT_UNKNOWN) port = lookup((u64(VLAN_ANY) << 48) | target);
  return port != PORT_UNKNOWN && isMember(u32(port), vlan) ? port : PORT_UNKNOWN;
}
