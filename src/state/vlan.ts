import { SHARED_VLANS } from '../../layout/memory.ts';
import {
  PORT_F_LINK_DOWN,
  PORT_F_TRUNK,
  PORT_F_VLAN,
  PORT_FLAGS,
  PORT_VLAN_PRIORITY,
  PORT_VLAN_TYPE,
  PORT_VLAN_UNTAGGED,
} from '../../layout/port.ts';
import { TYPE_SERVICE_VLAN, TYPE_VLAN } from '../../layout/protocols.ts';
import { VLAN_ANY, VLAN_ID_MAX, VLAN_SET_SIZE } from '../../layout/switch.ts';

type TagProtocol = '802.1Q' | '802.1ad';

/**
 * The VLANs of a port, in the terms of Ethernet switches. Without any of these settings the port is
 * in no VLAN: it exchanges frames, including tagged ones, with the other ports that are in no VLAN.
 */
export interface VlanSettings {
  /** The single VLAN of a port whose frames are untagged. */
  access?: number | undefined;
  /** The VLANs of a port whose frames are tagged. */
  trunk?: number[] | 'all' | undefined;
  /** The member of `trunk` whose frames are untagged. */
  native?: number | undefined;
  /** 802.1p priority, 0 to 7, of frames that arrive untagged. */
  priority?: number | undefined;
  /** The tag that the port reads and writes. 802.1ad is the outer one of two (S-tag). */
  protocol?: TagProtocol | undefined;
}

const TAG_TYPES: Readonly<Record<TagProtocol, number>> = {
  '802.1Q': TYPE_VLAN,
  '802.1ad': TYPE_SERVICE_VLAN,
};

export function isInVlans({ access, trunk }: VlanSettings): boolean {
  return access !== undefined || trunk !== undefined;
}

/** The VLAN under which the MAC table has the port's own address; 0 if the port is in none. */
export function vlanOfOwnAddress({ access, trunk }: VlanSettings): number {
  if (access !== undefined) return access;
  return trunk === undefined ? 0 : VLAN_ANY;
}

/** For people: "access 10 priority 3", "trunk 10,20 native 10", "none". */
export function vlanText({ access, trunk, native, priority, protocol }: VlanSettings): string {
  const words = [
    ['access', access],
    ['trunk', trunk],
    ['native', native],
    ['priority', priority],
    ['protocol', protocol],
  ].flatMap(([word, value]) => (value === undefined ? [] : [`${word} ${value}`]));
  return words.join(' ') || 'none';
}

/**
 * Writes the port record's word (layout/port.ts) in a single store. The link state is preserved.
 */
export function writePortWord(view: DataView, record: number, settings: VlanSettings): void {
  const { access, trunk, native, priority = 0, protocol = '802.1Q' } = settings;
  const word = new DataView(new ArrayBuffer(8));
  const set = (field: number, value: number) => word.setUint16(field - PORT_FLAGS, value, true);
  const link = view.getUint16(record + PORT_FLAGS, true) & PORT_F_LINK_DOWN;
  set(PORT_FLAGS, link);
  if (isInVlans(settings)) {
    set(PORT_FLAGS, link | PORT_F_VLAN | (trunk === undefined ? 0 : PORT_F_TRUNK));
    set(PORT_VLAN_UNTAGGED, access ?? native ?? 0);
    set(PORT_VLAN_TYPE, TAG_TYPES[protocol]);
    set(PORT_VLAN_PRIORITY, priority << 13);
  }
  view.setBigUint64(record + PORT_FLAGS, word.getBigUint64(0, true), true);
}

export function writeLink(view: DataView, record: number, isUp: boolean): void {
  const flags = view.getUint16(record + PORT_FLAGS, true) & ~PORT_F_LINK_DOWN;
  view.setUint16(record + PORT_FLAGS, flags | (isUp ? 0 : PORT_F_LINK_DOWN), true);
}

/** Writes the VLAN set of a port. `shared`: offset of the shared state in the view. */
export function writeVlanSet(
  view: DataView,
  shared: number,
  port: number,
  { access, trunk = [] }: VlanSettings,
): void {
  const set = new Uint8Array(VLAN_SET_SIZE);
  const all = Array.from({ length: VLAN_ID_MAX }, (_, index) => index + 1);
  const vlans = trunk === 'all' ? all : trunk;
  for (const vlan of access === undefined ? vlans : [access]) {
    set[vlan >> 3] = (set[vlan >> 3] ?? 0) | (1 << (vlan & 7));
  }
  const at = view.byteOffset + shared + SHARED_VLANS + port * VLAN_SET_SIZE;
  new Uint8Array(view.buffer, at, VLAN_SET_SIZE).set(set);
}
