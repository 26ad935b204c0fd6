// The record of a port in the shared state: what the switch knows of it apart from its rings.
import { SHARED_BASE, SHARED_VFS, SHARED_VLANS } from '../../layout/memory';
import { VLAN_SET_SIZE } from '../../layout/switch';
import {
  VF_F_VLAN,
  VF_FIRST_RING,
  VF_FLAGS,
  VF_IS_UPLINK,
  VF_LEARNED,
  VF_LEARNED_MAX,
  VF_MAC,
  VF_RECEIVE_COUNT,
  VF_RECEIVE_QUEUES,
  VF_RECORD_SIZE,
  VF_UNLEARNED,
  VF_VLAN_PRIORITY,
  VF_VLAN_TYPE,
  VF_VLAN_UNTAGGED,
} from '../../layout/vf';

@unmanaged
export class VfRecord {
  mac: u64;
  receiveCount: u32;
  learnedMax: u32;
  /** VF_F_ bits; 0 for a port that the switch treats like any other. */
  flags: u16;
  vlanUntagged: u16;
  vlanType: u16;
  vlanPriority: u16;
  firstRing: u32;
  isUplink: u32;
  /** Sixteen numbers of a byte each: see `receiveRingAt`. */
  receiveQueues: u64;
  receiveQueuesRest: u64;
  /** Changed by atomic instructions alone: switch/fdb-set.ts. */
  learned: u64;
  unlearned: u64;
}

if (offsetof<VfRecord>() != VF_RECORD_SIZE) ERROR('VfRecord has another size');
if (offsetof<VfRecord>('mac') != VF_MAC) ERROR('VfRecord.mac drifted');
if (offsetof<VfRecord>('receiveCount') != VF_RECEIVE_COUNT) ERROR('VfRecord.receiveCount drifted');
if (offsetof<VfRecord>('learnedMax') != VF_LEARNED_MAX) ERROR('VfRecord.learnedMax drifted');
if (offsetof<VfRecord>('flags') != VF_FLAGS) ERROR('VfRecord.flags drifted');
if (offsetof<VfRecord>('vlanUntagged') != VF_VLAN_UNTAGGED) ERROR('VfRecord drifted');
if (offsetof<VfRecord>('vlanType') != VF_VLAN_TYPE) ERROR('VfRecord.vlanType drifted');
if (offsetof<VfRecord>('vlanPriority') != VF_VLAN_PRIORITY) ERROR('VfRecord drifted');
if (offsetof<VfRecord>('firstRing') != VF_FIRST_RING) ERROR('VfRecord.firstRing drifted');
if (offsetof<VfRecord>('isUplink') != VF_IS_UPLINK) ERROR('VfRecord.isUplink drifted');
if (offsetof<VfRecord>('receiveQueues') != VF_RECEIVE_QUEUES) ERROR('VfRecord drifted');
if (offsetof<VfRecord>('learned') != VF_LEARNED) ERROR('VfRecord.learned drifted');
if (offsetof<VfRecord>('unlearned') != VF_UNLEARNED) ERROR('VfRecord.unlearned drifted');

export function vfAt(vf: u32): VfRecord {
  return changetype<VfRecord>(SHARED_BASE + SHARED_VFS + vf * VF_RECORD_SIZE);
}

export function isVlanPort(vf: u32): bool {
  return (vfAt(vf).flags & u16(VF_F_VLAN)) != 0;
}

/** The receive ring at a place among the enabled ones. */
export function receiveRingAt(vf: u32, place: u32): u32 {
  return vfAt(vf).firstRing + u32(load<u8>(changetype<u32>(vfAt(vf)) + place, VF_RECEIVE_QUEUES));
}

/** Never true for VLAN 0 and 4095. */
export function isMember(vf: u32, vlan: u32): bool {
  const byte = load<u8>(SHARED_BASE + SHARED_VLANS + vf * VLAN_SET_SIZE + (vlan >> 3));
  return ((byte >> u8(vlan & 7)) & 1) != 0;
}
