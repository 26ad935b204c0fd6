import * as virtio from '../../../layout/virtio.ts';
import type { FlowHashing, SteeringTable } from '../../state/flow-record.ts';
import type { Coalescing } from './control-settings.ts';

/** A well-formed command of the control queue (virtio 1.3, 5.1.6.5). */
export type ControlCommand =
  | { kind: 'receive-mode'; mode: 'promiscuous' | 'all-multicast'; isOn: boolean }
  | { kind: 'mac-table'; addresses: number }
  | { kind: 'mac-address'; mac: Uint8Array }
  | { kind: 'announce-ack' }
  | { kind: 'queue-pairs'; pairs: number }
  | { kind: 'hashing'; hashing: FlowHashing }
  | { kind: 'steering'; hashing: FlowHashing; table: SteeringTable; transmitQueues: number }
  | { kind: 'guest-offloads'; offloads: bigint }
  | { kind: 'coalescing'; of: 'receive' | 'transmit'; coalescing: Coalescing }
  | { kind: 'queue-coalescing'; queue: number; coalescing: Coalescing }
  | { kind: 'get-queue-coalescing'; queue: number };

const MAC_SIZE = 6;

type Read = (data: DataView) => ControlCommand | null;

interface Format {
  /** The feature bit that the command requires. */
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
    key(virtio.CONTROL_MQ, virtio.CONTROL_MQ_RSS_CONFIG),
    { feature: virtio.VIRTIO_NET_F_RSS, read: steering },
  ],
  [
    key(virtio.CONTROL_MQ, virtio.CONTROL_MQ_HASH_CONFIG),
    { feature: virtio.VIRTIO_NET_F_HASH_REPORT, read: hashing },
  ],
  [
    key(virtio.CONTROL_GUEST_OFFLOADS, virtio.CONTROL_GUEST_OFFLOADS_SET),
    { feature: virtio.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, read: guestOffloads },
  ],
  [
    key(virtio.CONTROL_COALESCING, virtio.CONTROL_COALESCING_TX_SET),
    { feature: virtio.VIRTIO_NET_F_NOTF_COAL, read: coalescing('transmit') },
  ],
  [
    key(virtio.CONTROL_COALESCING, virtio.CONTROL_COALESCING_RX_SET),
    { feature: virtio.VIRTIO_NET_F_NOTF_COAL, read: coalescing('receive') },
  ],
  [
    key(virtio.CONTROL_COALESCING, virtio.CONTROL_COALESCING_VQ_SET),
    { feature: virtio.VIRTIO_NET_F_VQ_NOTF_COAL, read: queueCoalescing },
  ],
  [
    key(virtio.CONTROL_COALESCING, virtio.CONTROL_COALESCING_VQ_GET),
    { feature: virtio.VIRTIO_NET_F_VQ_NOTF_COAL, read: getQueueCoalescing },
  ],
]);

/**
 * Parses a complete command. Returns null if there is no such command, if its feature was not
 * negotiated, or if its data does not have the required length.
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

/** Two tables, unicast and then group addresses. Each is a le32 count and that many addresses. */
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

/** le32 hash_types, le16 indirection_table_mask, le16 unclassified_queue, le16 table[mask + 1] … */
function steering(data: DataView): ControlCommand | null {
  if (data.byteLength < 8) return null;
  const length = data.getUint16(4, true) + 1;
  const end = 8 + length * 2;
  const isTable = length <= virtio.RSS_TABLE_LENGTH_MAX && (length & (length - 1)) === 0;
  if (!isTable || end + 2 > data.byteLength) return null;
  const unclassified = data.getUint16(6, true);
  const pairs = Array.from({ length }, (_, index) => data.getUint16(8 + index * 2, true));
  const transmitQueues = data.getUint16(end, true);
  const read = hashingAt(data, end + 2);
  if (read === null) return null;
  return { kind: 'steering', hashing: read, table: { pairs, unclassified }, transmitQueues };
}

/** le32 hash_types, le16 reserved[4] … */
function hashing(data: DataView): ControlCommand | null {
  if (data.byteLength < 12 || data.getBigUint64(4, true) !== 0n) return null;
  const read = hashingAt(data, 12);
  return read === null ? null : { kind: 'hashing', hashing: read };
}

/** … u8 hash_key_length, hash_key_data[]. A shorter key is padded with zeros. */
function hashingAt(data: DataView, at: number): FlowHashing | null {
  const types = data.getUint32(0, true);
  if ((types & ~virtio.HASH_TYPES) !== 0 || at >= data.byteLength) return null;
  const length = data.getUint8(at);
  if (length > virtio.RSS_KEY_SIZE || data.byteLength !== at + 1 + length) return null;
  if (length === 0 && types !== 0) return null;
  const key = new Uint8Array(virtio.RSS_KEY_SIZE);
  key.set(new Uint8Array(data.buffer, data.byteOffset + at + 1, length));
  return { types, key };
}

/** le32 max_packets, le32 max_usecs. */
function coalescingAt(data: DataView, at: number): Coalescing {
  return { packets: data.getUint32(at, true), microseconds: data.getUint32(at + 4, true) };
}

function coalescing(of: 'receive' | 'transmit'): Read {
  return (data) => {
    if (data.byteLength !== 8) return null;
    return { kind: 'coalescing', of, coalescing: coalescingAt(data, 0) };
  };
}

/** le16 vq_index, le16 reserved (ignored), and the same. */
function queueCoalescing(data: DataView): ControlCommand | null {
  if (data.byteLength !== 12) return null;
  const queue = data.getUint16(0, true);
  return { kind: 'queue-coalescing', queue, coalescing: coalescingAt(data, 4) };
}

function getQueueCoalescing(data: DataView): ControlCommand | null {
  if (data.byteLength !== 4) return null;
  return { kind: 'get-queue-coalescing', queue: data.getUint16(0, true) };
}
