import * as virtio from '../../../layout/virtio.ts';
import type { FrontEndTraits } from '../../vhost-user/device.ts';
import { featureSet, namesOfFeatures } from '../../virtqueue/features.ts';

/**
 * The features that a VF offers unless its configuration disables them, by their names in virtio
 * 1.3. docs/virtio-features.md explains why each is here, and why others are not.
 */
export const SWITCHABLE_FEATURES = {
  CSUM: virtio.VIRTIO_NET_F_CSUM,
  GUEST_CSUM: virtio.VIRTIO_NET_F_GUEST_CSUM,
  CTRL_GUEST_OFFLOADS: virtio.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
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
  CTRL_VQ: virtio.VIRTIO_NET_F_CTRL_VQ,
  CTRL_RX: virtio.VIRTIO_NET_F_CTRL_RX,
  GUEST_ANNOUNCE: virtio.VIRTIO_NET_F_GUEST_ANNOUNCE,
  MQ: virtio.VIRTIO_NET_F_MQ,
  CTRL_MAC_ADDR: virtio.VIRTIO_NET_F_CTRL_MAC_ADDR,
  INDIRECT_DESC: virtio.VIRTIO_F_INDIRECT_DESC,
  EVENT_IDX: virtio.VIRTIO_F_EVENT_IDX,
  ACCESS_PLATFORM: virtio.VIRTIO_F_ACCESS_PLATFORM,
  RING_PACKED: virtio.VIRTIO_F_RING_PACKED,
  IN_ORDER: virtio.VIRTIO_F_IN_ORDER,
  NOTIFICATION_DATA: virtio.VIRTIO_F_NOTIFICATION_DATA,
  VQ_NOTF_COAL: virtio.VIRTIO_NET_F_VQ_NOTF_COAL,
  NOTF_COAL: virtio.VIRTIO_NET_F_NOTF_COAL,
  GUEST_USO4: virtio.VIRTIO_NET_F_GUEST_USO4,
  GUEST_USO6: virtio.VIRTIO_NET_F_GUEST_USO6,
  HOST_USO: virtio.VIRTIO_NET_F_HOST_USO,
  HASH_REPORT: virtio.VIRTIO_NET_F_HASH_REPORT,
  RSS: virtio.VIRTIO_NET_F_RSS,
  SPEED_DUPLEX: virtio.VIRTIO_NET_F_SPEED_DUPLEX,
} as const;

export type SwitchableFeature = keyof typeof SWITCHABLE_FEATURES;

/**
 * Features that a VF offers only if its configuration says so. QEMU passes RING_RESET to its guest,
 * but not the guest's resets to a vhost-user back end. ACCESS_PLATFORM is always offered to
 * front-ends with a back-end channel; a few want it without one (crosvm, for protected VMs).
 */
export const OPTIONAL_FEATURES = {
  ACCESS_PLATFORM: virtio.VIRTIO_F_ACCESS_PLATFORM,
  RING_RESET: virtio.VIRTIO_F_RING_RESET,
} as const;

export type OptionalFeature = keyof typeof OPTIONAL_FEATURES;

/** Names of features, as in a VF's configuration. */
export interface FeatureChoice {
  readonly disabledFeatures?: readonly string[];
  readonly enabledFeatures?: readonly string[];
  /** Always offered, because a running guest has acknowledged them. */
  readonly keptFeatures?: bigint;
}

/** Features that no front-end can do without, or that cost nothing. */
const ALWAYS = {
  MAC: virtio.VIRTIO_NET_F_MAC,
  STATUS: virtio.VIRTIO_NET_F_STATUS,
  ANY_LAYOUT: virtio.VIRTIO_F_ANY_LAYOUT,
  PROTOCOL_FEATURES: virtio.VHOST_USER_F_PROTOCOL_FEATURES,
  VERSION_1: virtio.VIRTIO_F_VERSION_1,
} as const;

/** Features that a guest can use only if the NIC serves its control queue. */
const OF_CONTROL_QUEUE: readonly SwitchableFeature[] = [
  'CTRL_VQ',
  'CTRL_GUEST_OFFLOADS',
  'CTRL_RX',
  'CTRL_MAC_ADDR',
  'NOTF_COAL',
  'VQ_NOTF_COAL',
  'HASH_REPORT',
  'RSS',
];

const ALL = { ...SWITCHABLE_FEATURES, ...OPTIONAL_FEATURES, ...ALWAYS };
/** Sorted by bit number. */
const SORTED = Object.fromEntries(Object.entries(ALL).sort(([, a], [, b]) => a - b));

/**
 * The feature bits of a VF. They are the same before and after a restart, because a running guest
 * cannot renegotiate. MQ and GUEST_ANNOUNCE are offered even if the front-end serves the control
 * queue, because it can support both itself.
 *
 * ACCESS_PLATFORM is withheld until there is a back-end channel, without which an IOMMU is useless.
 * QEMU asks for the features again after it has set up the channel, and then needs the bit for
 * `iommu_platform=on`. Front-ends that ask only once would pass it to guests that cannot handle it
 * (User-Mode Linux).
 */
export function offeredFeatures(
  choice: FeatureChoice = {},
  { keepsConfigSpace = false, hasChannel = true }: FrontEndTraits = {},
): bigint {
  const { disabledFeatures: disabled = [], enabledFeatures: enabled = [] } = choice;
  const isWithout = keepsConfigSpace || disabled.includes('CTRL_VQ');
  const withheld = [
    ...disabled,
    ...(isWithout ? OF_CONTROL_QUEUE : []),
    ...(hasChannel ? [] : ['ACCESS_PLATFORM']),
  ];
  const offered = Object.entries(SWITCHABLE_FEATURES)
    .filter(([name]) => !withheld.includes(name))
    .map(([, bit]) => bit);
  const added = Object.entries(OPTIONAL_FEATURES)
    .filter(([name]) => enabled.includes(name))
    .map(([, bit]) => bit);
  return featureSet([...Object.values(ALWAYS), ...offered, ...added]) | (choice.keptFeatures ?? 0n);
}

/**
 * Whether a front-end may acknowledge these features: they must have been offered. A front-end with
 * its own control queue acknowledges CTRL_VQ, too.
 */
export function isAcceptable(features: bigint, offered: bigint): boolean {
  return (features & ~(offered | featureSet([virtio.VIRTIO_NET_F_CTRL_VQ]))) === 0n;
}

export function featureNames(features: bigint): string[] {
  return namesOfFeatures(features, SORTED);
}
