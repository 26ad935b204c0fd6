// The record of a port in the shared state: what the switch knows about the port besides its rings.
import { SHARED_BASE, SHARED_PORTS, SHARED_VLANS } from '../../layout/memory';
import {
  PORT_F_VLAN,
  PORT_FIRST_RING,
  PORT_FLAGS,
  PORT_IS_UPLINK,
  PORT_LEARNED,
  PORT_LEARNED_MAX,
  PORT_MAC,
  PORT_RECEIVE_COUNT,
  PORT_RECEIVE_QUEUES,
  PORT_RECORD_SIZE,
  PORT_UNLEARNED,
  PORT_VLAN_PRIORITY,
  PORT_VLAN_TYPE,
  PORT_VLAN_UNTAGGED,
} from '../../layout/port';
import { VLAN_SET_SIZE } from '../../layout/switch';

@unmanaged
export class PortRecord {
  mac: u64;
  receiveCount: u32;
  learnedMax: u32;
  /** PORT_F_ bits; 0 for a port without special rules in the switch. */
  flags: u16;
  vlanUntagged: u16;
  vlanType: u16;
  vlanPriority: u16;
  firstRing: u32;
  isUplink: u32;
  /** Sixteen ring numbers of one byte each: see `receiveRingAt`. */
  receiveQueues: u64;
  receiveQueuesRest: u64;
  /** Changed only by atomic instructions: switch/fdb-set.ts. */
  learned: u64;
  unlearned: u64;
}

if (offsetof<PortRecord>() != PORT_RECORD_SIZE) ERROR('PortRecord has another size');
if (offsetof<PortRecord>('mac') != PORT_MAC) ERROR('PortRecord.mac drifted');
if (offsetof<PortRecord>('receiveCount') != PORT_RECEIVE_COUNT)
  ERROR('PortRecord.receiveCount drifted');
if (offsetof<PortRecord>('learnedMax') != PORT_LEARNED_MAX) ERROR('PortRecord.learnedMax drifted');
if (offsetof<PortRecord>('flags') != PORT_FLAGS) ERROR('PortRecord.flags drifted');
if (offsetof<PortRecord>('vlanUntagged') != PORT_VLAN_UNTAGGED) ERROR('PortRecord drifted');
if (offsetof<PortRecord>('vlanType') != PORT_VLAN_TYPE) ERROR('PortRecord.vlanType drifted');
if (offsetof<PortRecord>('vlanPriority') != PORT_VLAN_PRIORITY) ERROR('PortRecord drifted');
if (offsetof<PortRecord>('firstRing') != PORT_FIRST_RING) ERROR('PortRecord.firstRing drifted');
if (offsetof<PortRecord>('isUplink') != PORT_IS_UPLINK) ERROR('PortRecord.isUplink drifted');
if (offsetof<PortRecord>('receiveQueues') != PORT_RECEIVE_QUEUES) ERROR('PortRecord drifted');
if (offsetof<PortRecord>('learned') != PORT_LEARNED) ERROR('PortRecord.learned drifted');
if (offsetof<PortRecord>('unlearned') != PORT_UNLEARNED) ERROR('PortRecord.unlearned drifted');

export function portRecordAt(port: u32): PortRecord {
  return changetype<PortRecord>(SHARED_BASE + SHARED_PORTS + port * PORT_RECORD_SIZE);
}

export function isVlanPort(port: u32): bool {
  return (portRecordAt(port).flags & u16(PORT_F_VLAN)) != 0;
}

/** The n-th of a port's enabled receive rings. */
export function receiveRingAt(port: u32, place: u32): u32 {
  return (
    portRecordAt(port).firstRing +
    u32(load<u8>(changetype<u32>(portRecordAt(port)) + place, PORT_RECEIVE_QUEUES))
  );
}

/** False for VLAN 0 and 4095. */
export function isMember(port: u32, vlan: u32): bool {
  const byte = load<u8>(SHARED_BASE + SHARED_VLANS + port * VLAN_SET_SIZE + (vlan >> 3));
  return ((byte >> u8(vlan & 7)) & 1) != 0;
}
