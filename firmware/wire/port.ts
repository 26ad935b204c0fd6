// What the switch knows of a port beside its rings: flags and VLANs, in the shared state.
import { SHARED_BASE, SHARED_VFS, SHARED_VLANS } from '../../layout/memory';
import { VLAN_SET_SIZE } from '../../layout/switch';
import {
  VF_F_VLAN,
  VF_FLAGS,
  VF_RECORD_SIZE,
  VF_VLAN_PRIORITY,
  VF_VLAN_TYPE,
  VF_VLAN_UNTAGGED,
} from '../../layout/vf';

/** VF_F_ bits; 0 for a port that the switch treats like any other. */
export function portFlags(vf: u32): u32 {
  return u32(load<u16>(recordOf(vf), VF_FLAGS));
}

export function isVlanPort(vf: u32): bool {
  return (portFlags(vf) & VF_F_VLAN) != 0;
}

export function untaggedVlan(vf: u32): u32 {
  return u32(load<u16>(recordOf(vf), VF_VLAN_UNTAGGED));
}

export function tagType(vf: u32): u32 {
  return u32(load<u16>(recordOf(vf), VF_VLAN_TYPE));
}

export function tagPriority(vf: u32): u32 {
  return u32(load<u16>(recordOf(vf), VF_VLAN_PRIORITY));
}

/** Never true for VLAN 0 and 4095. */
export function isMember(vf: u32, vlan: u32): bool {
  const byte = load<u8>(SHARED_BASE + SHARED_VLANS + vf * VLAN_SET_SIZE + (vlan >> 3));
  return ((byte >> u8(vlan & 7)) & 1) != 0;
}

function recordOf(vf: u32): u32 {
  return SHARED_BASE + SHARED_VFS + vf * VF_RECORD_SIZE;
}
