// The kernel strips the outermost VLAN tag and delivers it separately; this restores it.

import { TYPE_VLAN } from '../../layout/protocols.ts';
import { NET_HEADER_F_NEEDS_CSUM, NET_HEADER_SIZE } from '../../layout/virtio.ts';

export const VLAN_TAG_SIZE = 4;

// Bits of tp_status.
const TP_STATUS_VLAN_VALID = 0x10;
const TP_STATUS_VLAN_TPID_VALID = 0x40;
const ADDRESSES_SIZE = 12;

export function hasStrippedTag(status: number): boolean {
  return (status & TP_STATUS_VLAN_VALID) !== 0;
}

/**
 * Puts a tag after the addresses of a frame whose virtio-net header starts at `place` + 4: header
 * and addresses move into the 4 bytes before. `status`, `tci` and `type` are tp_status, tp_vlan_tci
 * and tp_vlan_tpid of packet(7).
 */
export function restoreTag(
  view: DataView,
  place: number,
  status: number,
  tci: number,
  type: number,
): void {
  const moved = NET_HEADER_SIZE + ADDRESSES_SIZE;
  for (let at = place; at < place + moved; at += 4) {
    view.setUint32(at, view.getUint32(at + VLAN_TAG_SIZE));
  }
  const hasType = (status & TP_STATUS_VLAN_TPID_VALID) !== 0;
  if (hasType) view.setUint16(place + moved, type);
  else view.setUint16(place + moved, TYPE_VLAN, true);
  view.setUint16(place + moved + 2, tci);
  shiftMetadata(view, place);
}

/**
 * A tag makes the headers 4 bytes longer: adjusts hdr_len and csum_start of the virtio-net header.
 */
function shiftMetadata(view: DataView, header: number): void {
  const needsChecksum = (view.getUint8(header) & NET_HEADER_F_NEEDS_CSUM) !== 0;
  const isSuperFrame = view.getUint8(header + 1) !== 0;
  const add = (offset: number): void =>
    view.setUint16(header + offset, view.getUint16(header + offset, true) + VLAN_TAG_SIZE, true);
  if (isSuperFrame) add(2);
  if (needsChecksum) add(6);
}
