// A VF's own address is the switch's while its guest is there: its link up, a receive queue
// running. Meanwhile nobody can take it. While the guest is away the table has no such entry, so
// the address may be learned where it is really used: behind an uplink, say, to which a VM was
// moved.
import { VLAN_ANY, VLAN_ID_MAX } from '../../layout/switch';
import { isMember, portRecordAt } from '../memory/port-record';
import { clearStatic, forget, isOwn, setStatic } from './fdb';
import { countUnlearned } from './fdb-set';

/** `isNew`: this processor hears for the first time that the guest is there. */
export function claimAddress(port: u32, isNew: bool): void {
  const address = portRecordAt(port).mac;
  if (address == 0 || (!isNew && isOwn(address, port))) return;
  if (!setStatic(address, port)) countUnlearned(port);
  if (u32(address >> 48) == VLAN_ANY) forgetInVlans(address, port);
}

export function releaseAddress(port: u32): void {
  const address = portRecordAt(port).mac;
  if (address != 0) clearStatic(address, port);
}

/** A trunk's address may have been learned in each of its VLANs, and would be found there first. */
function forgetInVlans(address: u64, port: u32): void {
  const mac = address & 0x0000_ffff_ffff_ffff;
  for (let vlan: u32 = 1; vlan <= VLAN_ID_MAX; vlan++) {
    if (isMember(port, vlan)) forget((u64(vlan) << 48) | mac);
  }
}
