import * as virtio from '../../layout/virtio.ts';

// Commands of the control queue (virtio 1.3, 5.1.6.5), byte by byte.

export const OK = virtio.CONTROL_OK;
export const ERROR = virtio.CONTROL_ERROR;

/** Features that a driver accepts to use every command of a control queue. */
export const CONTROL_FEATURES: readonly number[] = [
  virtio.VIRTIO_NET_F_CTRL_VQ,
  virtio.VIRTIO_NET_F_CTRL_RX,
  virtio.VIRTIO_NET_F_CTRL_MAC_ADDR,
  virtio.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
  virtio.VIRTIO_NET_F_GUEST_ANNOUNCE,
];

export function command(commandClass: number, number: number, data: Iterable<number>): Uint8Array {
  return Uint8Array.of(commandClass, number, ...data);
}

function le16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

function le32(value: number): number[] {
  return [...le16(value & 0xffff), ...le16(value >>> 16)];
}

export function setQueuePairs(pairs: number): Uint8Array {
  return command(virtio.CONTROL_MQ, virtio.CONTROL_MQ_PAIRS_SET, le16(pairs));
}

export function setMac(mac: Iterable<number>): Uint8Array {
  return command(virtio.CONTROL_MAC, virtio.CONTROL_MAC_ADDRESS_SET, mac);
}

export function setMacTable(unicast: number[][], groups: number[][]): Uint8Array {
  const tables = [unicast, groups].flatMap((table) => [...le32(table.length), ...table.flat()]);
  return command(virtio.CONTROL_MAC, virtio.CONTROL_MAC_TABLE_SET, tables);
}

export function setPromiscuous(value: number): Uint8Array {
  return command(virtio.CONTROL_RX, virtio.CONTROL_RX_PROMISCUOUS, [value]);
}

export function setAllMulticast(value: number): Uint8Array {
  return command(virtio.CONTROL_RX, virtio.CONTROL_RX_ALL_MULTICAST, [value]);
}

export function acknowledgeAnnouncement(): Uint8Array {
  return command(virtio.CONTROL_ANNOUNCE, virtio.CONTROL_ANNOUNCE_ACK, []);
}

export function setGuestOffloads(bits: readonly number[]): Uint8Array {
  const mask = bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  const bytes = new Uint8Array(new BigUint64Array([mask]).buffer);
  return command(virtio.CONTROL_GUEST_OFFLOADS, virtio.CONTROL_GUEST_OFFLOADS_SET, bytes);
}

export interface RssConfig {
  types: number;
  /** Default: one less than the number of entries. */
  mask?: number;
  unclassified: number;
  table: readonly number[];
  transmitQueues: number;
  key: Iterable<number>;
  keyLength?: number;
}

export function setRss(config: RssConfig): Uint8Array {
  const key = [...config.key];
  return command(virtio.CONTROL_MQ, virtio.CONTROL_MQ_RSS_CONFIG, [
    ...le32(config.types),
    ...le16(config.mask ?? config.table.length - 1),
    ...le16(config.unclassified),
    ...config.table.flatMap(le16),
    ...le16(config.transmitQueues),
    config.keyLength ?? key.length,
    ...key,
  ]);
}

export function setHashing(types: number, key: Iterable<number>, reserved = 0): Uint8Array {
  const bytes = [...key];
  const head = [...le32(types), ...le32(reserved), ...le32(0)];
  const data = [...head, bytes.length, ...bytes];
  return command(virtio.CONTROL_MQ, virtio.CONTROL_MQ_HASH_CONFIG, data);
}

export function setCoalescing(of: 'rx' | 'tx', packets: number, microseconds: number): Uint8Array {
  const { CONTROL_COALESCING_RX_SET, CONTROL_COALESCING_TX_SET } = virtio;
  const number = of === 'rx' ? CONTROL_COALESCING_RX_SET : CONTROL_COALESCING_TX_SET;
  return command(virtio.CONTROL_COALESCING, number, [...le32(packets), ...le32(microseconds)]);
}

export function setQueueCoalescing(
  queue: number,
  packets: number,
  microseconds: number,
): Uint8Array {
  const data = [...le16(queue), 0xee, 0xee, ...le32(packets), ...le32(microseconds)];
  return command(virtio.CONTROL_COALESCING, virtio.CONTROL_COALESCING_VQ_SET, data);
}

export function getQueueCoalescing(queue: number): Uint8Array {
  const { CONTROL_COALESCING, CONTROL_COALESCING_VQ_GET } = virtio;
  return command(CONTROL_COALESCING, CONTROL_COALESCING_VQ_GET, [...le16(queue), 0, 0]);
}
