// A VF's own address is static while its guest is present: link up and a receive queue running. No
// other port can take it then. Without a guest the table has no such entry, so the address can be
// learned where it is really used: for example behind an uplink, if the VM was moved.
import { VLAN_ANY, VLAN_ID_MAX } from '../../layout/switch';
import { isMember, portRecordAt } from '../memory/port-record';
import { clearStatic, forget, isOwn, setStatic } from './fdb';
import { countUnlearned } from './fdb-set';

/** `isNew`: the port was not in this processor's list before. */
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

/** A trunk's address may have been learned in its VLANs, where lookups would find it first. */
function forgetInVlans(address: u64, port: u32): void {
  const mac = address & 0x0000_ffff_ffff_ffff;
  for (let vlan: u32 = 1; vlan <= VLAN_ID_MAX; vlan++) {
    if (isMember(port, vlan)) forget((u64(vlan) << 48) | mac);
  }
}
