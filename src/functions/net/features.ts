import * as virtio from '../../../layout/virtio.ts';
import type { FrontEndTraits } from '../../vhost-user/device.ts';
import { featureSet, namesOfFeatures } from '../../virtqueue/features.ts';

/**
 * The features that a VF offers unless its configuration disables them, by their names in virtio
 * 1.3. Why each is there, and why others are not: docs/virtio-features.md.
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
 * What a VF offers only if its configuration says so: QEMU hands RING_RESET on to its guest, but
 * not the guest's resets to a vhost-user back end. ACCESS_PLATFORM is offered to front-ends with a
 * channel in any case; a few want it without one (crosvm, for protected VMs).
 */
export const OPTIONAL_FEATURES = {
  ACCESS_PLATFORM: virtio.VIRTIO_F_ACCESS_PLATFORM,
  RING_RESET: virtio.VIRTIO_F_RING_RESET,
} as const;

export type OptionalFeature = keyof typeof OPTIONAL_FEATURES;

/** Names of features, as a VF's configuration has them. */
export interface FeatureChoice {
  readonly disabledFeatures?: readonly string[];
  readonly enabledFeatures?: readonly string[];
  /** Offered whatever else is said: a guest that runs has acknowledged them. */
  readonly keptFeatures?: bigint;
}

/** What no front-end can do without, or what costs nothing. */
const ALWAYS = {
  MAC: virtio.VIRTIO_NET_F_MAC,
  STATUS: virtio.VIRTIO_NET_F_STATUS,
  ANY_LAYOUT: virtio.VIRTIO_F_ANY_LAYOUT,
  PROTOCOL_FEATURES: virtio.VHOST_USER_F_PROTOCOL_FEATURES,
  VERSION_1: virtio.VIRTIO_F_VERSION_1,
} as const;

/** What a guest can use only with a control queue that is ours. */
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
/** By their numbers. */
const SORTED = Object.fromEntries(Object.entries(ALL).sort(([, a], [, b]) => a - b));

/**
 * The feature bits of a VF: the same before and after a restart, since a guest that runs cannot be
 * asked again. MQ and GUEST_ANNOUNCE are offered whoever serves the control queue: a front-end that
 * keeps it for itself can do both with its own.
 *
 * ACCESS_PLATFORM waits for the channel without which an IOMMU is of no use. QEMU asks for the
 * features once more after it has named that, and needs the bit then for `iommu_platform=on`.
 * Front-ends that ask only once would hand it on to guests that cannot do it: User-Mode Linux.
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
 * What may come back of what was offered. Front-ends with a control queue of their own acknowledge
 * that, too.
 */
export function isAcceptable(features: bigint, offered: bigint): boolean {
  return (features & ~(offered | featureSet([virtio.VIRTIO_NET_F_CTRL_VQ]))) === 0n;
}

export function featureNames(features: bigint): string[] {
  return namesOfFeatures(features, SORTED);
}
