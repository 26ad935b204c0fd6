import {
  VHOST_USER_F_PROTOCOL_FEATURES,
  VIRTIO_F_ANY_LAYOUT,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_STATUS,
} from '../../layout/virtio.ts';
import { ProtocolFeature } from './message.ts';

function mask(bits: readonly number[]): bigint {
  return bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
}

const NAMES: readonly (readonly [string, number])[] = [
  ['MTU', VIRTIO_NET_F_MTU],
  ['MAC', VIRTIO_NET_F_MAC],
  ['MRG_RXBUF', VIRTIO_NET_F_MRG_RXBUF],
  ['STATUS', VIRTIO_NET_F_STATUS],
  ['CTRL_VQ', VIRTIO_NET_F_CTRL_VQ],
  ['MQ', VIRTIO_NET_F_MQ],
  ['ANY_LAYOUT', VIRTIO_F_ANY_LAYOUT],
  ['INDIRECT_DESC', VIRTIO_F_INDIRECT_DESC],
  ['EVENT_IDX', VIRTIO_F_EVENT_IDX],
  ['PROTOCOL_FEATURES', VHOST_USER_F_PROTOCOL_FEATURES],
  ['VERSION_1', VIRTIO_F_VERSION_1],
  ['IN_ORDER', VIRTIO_F_IN_ORDER],
];

/** What every VF offers. The control queue stays with the front-end, so CTRL_VQ is not ours to offer. */
const OFFERED = mask([
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_STATUS,
  VIRTIO_F_ANY_LAYOUT,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_EVENT_IDX,
  VHOST_USER_F_PROTOCOL_FEATURES,
  VIRTIO_F_VERSION_1,
  VIRTIO_F_IN_ORDER,
]);

/**
 * The feature bits of a VF: the same before and after a restart, since a guest that runs cannot be asked
 * again. MQ is offered always: front-ends with one queue pair ignore it.
 */
export function offeredFeatures(): bigint {
  return OFFERED | mask([VIRTIO_NET_F_MQ]);
}

/** What may come back: a front-end that runs the control queue itself acknowledges CTRL_VQ as well. */
export function isAcceptable(features: bigint): boolean {
  return (features & ~(offeredFeatures() | mask([VIRTIO_NET_F_CTRL_VQ]))) === 0n;
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
