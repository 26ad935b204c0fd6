// The sets of offloads that the guests of the matrix negotiate.

import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_UFO,
  VIRTIO_NET_F_GUEST_USO4,
  VIRTIO_NET_F_GUEST_USO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_UFO,
  VIRTIO_NET_F_HOST_USO,
} from '../../layout/virtio.ts';

/** No offload at all. */
export const PLAIN_FEATURES: readonly number[] = [
  VIRTIO_F_VERSION_1,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
];

const CHECKSUM = [VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM];
const TSO4 = [...CHECKSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4];
const TSO6 = [...CHECKSUM, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO6];
const USO = [
  ...[...CHECKSUM, VIRTIO_NET_F_HOST_USO],
  ...[VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6],
];
const ECN_AND_UFO = [
  ...[VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_GUEST_ECN],
  ...[VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_GUEST_UFO],
];

export type OffloadSet = 'off' | 'checksum' | 'tso4' | 'tso6' | 'uso' | 'on';

export const OFFLOAD_SETS: Readonly<Record<OffloadSet, readonly number[]>> = {
  off: [],
  checksum: CHECKSUM,
  tso4: TSO4,
  tso6: TSO6,
  uso: USO,
  on: [...new Set([...TSO4, ...TSO6, ...USO, ...ECN_AND_UFO])],
};

export const ALL_FEATURES: readonly number[] = [...PLAIN_FEATURES, ...OFFLOAD_SETS.on];
