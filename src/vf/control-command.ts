import * as virtio from '../../layout/virtio.ts';

/** A command of the control queue (virtio 1.3, 5.1.6.5), read and found well-formed. */
export type ControlCommand =
  | { kind: 'receive-mode'; mode: 'promiscuous' | 'all-multicast'; isOn: boolean }
  | { kind: 'mac-table'; addresses: number }
  | { kind: 'mac-address'; mac: Uint8Array }
  | { kind: 'announce-ack' }
  | { kind: 'queue-pairs'; pairs: number }
  | { kind: 'guest-offloads'; offloads: bigint };

const MAC_SIZE = 6;

type Read = (data: DataView) => ControlCommand | null;

interface Format {
  /** The feature that it needs. */
  feature: number;
  read: Read;
}

function key(commandClass: number, command: number): number {
  return commandClass * 256 + command;
}

const FORMATS: ReadonlyMap<number, Format> = new Map([
  [
    key(virtio.CONTROL_RX, virtio.CONTROL_RX_PROMISCUOUS),
    { feature: virtio.VIRTIO_NET_F_CTRL_RX, read: receiveMode('promiscuous') },
  ],
  [
    key(virtio.CONTROL_RX, virtio.CONTROL_RX_ALL_MULTICAST),
    { feature: virtio.VIRTIO_NET_F_CTRL_RX, read: receiveMode('all-multicast') },
  ],
  [
    key(virtio.CONTROL_MAC, virtio.CONTROL_MAC_TABLE_SET),
    { feature: virtio.VIRTIO_NET_F_CTRL_RX, read: macTable },
  ],
  [
    key(virtio.CONTROL_MAC, virtio.CONTROL_MAC_ADDRESS_SET),
    { feature: virtio.VIRTIO_NET_F_CTRL_MAC_ADDR, read: macAddress },
  ],
  [
    key(virtio.CONTROL_ANNOUNCE, virtio.CONTROL_ANNOUNCE_ACK),
    {
      feature: virtio.VIRTIO_NET_F_GUEST_ANNOUNCE,
      read: (data) => (data.byteLength === 0 ? { kind: 'announce-ack' } : null),
    },
  ],
  [
    key(virtio.CONTROL_MQ, virtio.CONTROL_MQ_PAIRS_SET),
    { feature: virtio.VIRTIO_NET_F_MQ, read: queuePairs },
  ],
  [
    key(virtio.CONTROL_GUEST_OFFLOADS, virtio.CONTROL_GUEST_OFFLOADS_SET),
    { feature: virtio.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, read: guestOffloads },
  ],
]);

/**
 * Reads a command, all of whose bytes these are. Null if there is no such command, if its feature
 * was not negotiated, or if what follows has not the length that it must have.
 */
export function readControlCommand(bytes: Uint8Array, features: bigint): ControlCommand | null {
  const [commandClass, command] = bytes;
  if (commandClass === undefined || command === undefined) return null;
  const format = FORMATS.get(key(commandClass, command));
  if (format === undefined || ((features >> BigInt(format.feature)) & 1n) === 0n) return null;
  return format.read(new DataView(bytes.buffer, bytes.byteOffset + 2, bytes.byteLength - 2));
}

function receiveMode(mode: 'promiscuous' | 'all-multicast'): Read {
  return (data) => {
    const value = data.byteLength === 1 ? data.getUint8(0) : -1;
    return value === 0 || value === 1 ? { kind: 'receive-mode', mode, isOn: value === 1 } : null;
  };
}

/** Two tables, of unicast and of group addresses: le32 count and that many addresses each. */
function macTable(data: DataView): ControlCommand | null {
  const unicast = endOfTable(data, 0, false);
  const end = unicast === null ? null : endOfTable(data, unicast, true);
  if (end !== data.byteLength) return null;
  return { kind: 'mac-table', addresses: (end - 8) / MAC_SIZE };
}

function endOfTable(data: DataView, start: number, isOfGroups: boolean): number | null {
  if (start + 4 > data.byteLength) return null;
  const entries = data.getUint32(start, true);
  const end = start + 4 + entries * MAC_SIZE;
  if (end > data.byteLength) return null;
  for (let at = start + 4; at < end; at += MAC_SIZE) {
    if (((data.getUint8(at) & 1) === 1) !== isOfGroups) return null;
  }
  return end;
}

function macAddress(data: DataView): ControlCommand | null {
  if (data.byteLength !== MAC_SIZE) return null;
  const mac = Uint8Array.from({ length: MAC_SIZE }, (_, index) => data.getUint8(index));
  const isGroup = ((mac[0] ?? 0) & 1) === 1;
  return isGroup || mac.every((byte) => byte === 0) ? null : { kind: 'mac-address', mac };
}

function queuePairs(data: DataView): ControlCommand | null {
  return data.byteLength === 2 ? { kind: 'queue-pairs', pairs: data.getUint16(0, true) } : null;
}

function guestOffloads(data: DataView): ControlCommand | null {
  if (data.byteLength !== 8) return null;
  return { kind: 'guest-offloads', offloads: data.getBigUint64(0, true) };
}
