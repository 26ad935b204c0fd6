import * as virtio from '../../layout/virtio.ts';
import { ProtocolFeature } from './message.ts';

function mask(bits: readonly number[]): bigint {
  return bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
}

/**
 * The features that a VF offers unless its configuration disables them, by their names in virtio
 * 1.3. Why each is there, and why others are not (RING_RESET, RSS …): docs/virtio-features.md.
 */
export const SWITCHABLE_FEATURES = {
  CSUM: virtio.VIRTIO_NET_F_CSUM,
  GUEST_CSUM: virtio.VIRTIO_NET_F_GUEST_CSUM,
  MTU: virtio.VIRTIO_NET_F_MTU,
  GUEST_TSO4: virtio.VIRTIO_NET_F_GUEST_TSO4,
  GUEST_TSO6: virtio.VIRTIO_NET_F_GUEST_TSO6,
  GUEST_ECN: virtio.VIRTIO_NET_F_GUEST_ECN,
  GUEST_UFO: virtio.VIRTIO_NET_F_GUEST_UFO,
  HOST_TSO4: virtio.VIRTIO_NET_F_HOST_TSO4,
  HOST_TSO6: virtio.VIRTIO_NET_F_HOST_TSO6,
  HOST_ECN: virtio.VIRTIO_NET_F_HOST_ECN,
  HOST_UFO: virtio.VIRTIO_NET_F_HOST_UFO,
  MRG_RXBUF: virtio.VIRTIO_NET_F_MRG_RXBUF,
  GUEST_ANNOUNCE: virtio.VIRTIO_NET_F_GUEST_ANNOUNCE,
  MQ: virtio.VIRTIO_NET_F_MQ,
  INDIRECT_DESC: virtio.VIRTIO_F_INDIRECT_DESC,
  EVENT_IDX: virtio.VIRTIO_F_EVENT_IDX,
  ACCESS_PLATFORM: virtio.VIRTIO_F_ACCESS_PLATFORM,
  RING_PACKED: virtio.VIRTIO_F_RING_PACKED,
  IN_ORDER: virtio.VIRTIO_F_IN_ORDER,
  NOTIFICATION_DATA: virtio.VIRTIO_F_NOTIFICATION_DATA,
  GUEST_USO4: virtio.VIRTIO_NET_F_GUEST_USO4,
  GUEST_USO6: virtio.VIRTIO_NET_F_GUEST_USO6,
  HOST_USO: virtio.VIRTIO_NET_F_HOST_USO,
  SPEED_DUPLEX: virtio.VIRTIO_NET_F_SPEED_DUPLEX,
} as const;

export type SwitchableFeature = keyof typeof SWITCHABLE_FEATURES;

/** What no front-end can do without, or what costs nothing. */
const ALWAYS = {
  MAC: virtio.VIRTIO_NET_F_MAC,
  STATUS: virtio.VIRTIO_NET_F_STATUS,
  ANY_LAYOUT: virtio.VIRTIO_F_ANY_LAYOUT,
  PROTOCOL_FEATURES: virtio.VHOST_USER_F_PROTOCOL_FEATURES,
  VERSION_1: virtio.VIRTIO_F_VERSION_1,
} as const;

/**
 * The control queue stays with the front-end, which acknowledges it although it is not ours to
 * offer.
 */
const CONTROL_QUEUE = { CTRL_VQ: virtio.VIRTIO_NET_F_CTRL_VQ } as const;

const NAMES = Object.entries({ ...SWITCHABLE_FEATURES, ...ALWAYS, ...CONTROL_QUEUE }).sort(
  ([, a], [, b]) => a - b,
);

/**
 * The feature bits of a VF: the same before and after a restart, since a guest that runs cannot be
 * asked again. MQ is offered always: front-ends with one queue pair ignore it.
 */
export function offeredFeatures(disabled: readonly string[] = []): bigint {
  const offered = Object.entries(SWITCHABLE_FEATURES)
    .filter(([name]) => !disabled.includes(name))
    .map(([, bit]) => bit);
  return mask([...Object.values(ALWAYS), ...offered]);
}

/** What may come back of what was offered. */
export function isAcceptable(features: bigint, offered: bigint): boolean {
  return (features & ~(offered | mask(Object.values(CONTROL_QUEUE)))) === 0n;
}

export function featureNames(features: bigint): string[] {
  return NAMES.filter(([, bit]) => ((features >> BigInt(bit)) & 1n) === 1n).map(([name]) => name);
}

export const OFFERED_PROTOCOL_FEATURES = mask([
  ProtocolFeature.MQ,
  ProtocolFeature.REPLY_ACK,
  ProtocolFeature.MTU,
  ProtocolFeature.BACKEND_REQ,
  ProtocolFeature.CONFIG,
  ProtocolFeature.RESET_DEVICE,
  ProtocolFeature.CONFIGURE_MEM_SLOTS,
  ProtocolFeature.STATUS,
]);
