// How the negotiated features of a network device affect its rings (virtio 1.3, 5.1).

import {
  NET_HEADER_SIZE,
  NET_HEADER_SIZE_HASH,
  NET_HEADER_SIZE_LEGACY,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_UFO,
  VIRTIO_NET_F_GUEST_USO4,
  VIRTIO_NET_F_GUEST_USO6,
  VIRTIO_NET_F_HASH_REPORT,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_UFO,
  VIRTIO_NET_F_HOST_USO,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_MTU,
  VIRTIO_NET_F_RSS,
} from '../../../layout/virtio.ts';
import {
  OFFLOAD_CHECKSUM,
  OFFLOAD_ECN,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
  OFFLOAD_UFO,
  OFFLOAD_USO4,
  OFFLOAD_USO6,
  RING_DEFER_MICROSECONDS,
  RING_DEFER_PACKETS,
  RING_F_GRO,
  RING_F_MERGEABLE,
  RING_FLAGS,
  RING_HEADER_SIZE,
  RING_MTU,
  RING_OFFLOADS,
} from '../../../layout/virtqueue.ts';
import type { SharedState } from '../../state/shared-state.ts';
import { hasFeature } from '../../virtqueue/features.ts';
import type { Ring } from '../../virtqueue/ring.ts';
import { ringFlags } from '../../virtqueue/ring-setup.ts';
import type { ControlSettings } from './control-settings.ts';

const HOST_OFFLOADS = [
  [VIRTIO_NET_F_CSUM, OFFLOAD_CHECKSUM],
  [VIRTIO_NET_F_HOST_TSO4, OFFLOAD_TSO4],
  [VIRTIO_NET_F_HOST_TSO6, OFFLOAD_TSO6],
  [VIRTIO_NET_F_HOST_ECN, OFFLOAD_ECN],
  [VIRTIO_NET_F_HOST_UFO, OFFLOAD_UFO],
  [VIRTIO_NET_F_HOST_USO, OFFLOAD_USO4 | OFFLOAD_USO6],
] as const;

const GUEST_OFFLOADS = [
  [VIRTIO_NET_F_GUEST_CSUM, OFFLOAD_CHECKSUM],
  [VIRTIO_NET_F_GUEST_TSO4, OFFLOAD_TSO4],
  [VIRTIO_NET_F_GUEST_TSO6, OFFLOAD_TSO6],
  [VIRTIO_NET_F_GUEST_ECN, OFFLOAD_ECN],
  [VIRTIO_NET_F_GUEST_UFO, OFFLOAD_UFO],
  [VIRTIO_NET_F_GUEST_USO4, OFFLOAD_USO4],
  [VIRTIO_NET_F_GUEST_USO6, OFFLOAD_USO6],
] as const;

/**
 * The number of the control queue, which comes after all others that the driver can have (5.1.2). A
 * front-end that serves this queue itself never names a ring with that number.
 */
export function controlQueueOf(features: bigint, queuePairs: number): number | null {
  if (!hasFeature(features, VIRTIO_NET_F_CTRL_VQ)) return null;
  const isMulti = hasFeature(features, VIRTIO_NET_F_MQ) || hasFeature(features, VIRTIO_NET_F_RSS);
  return isMulti ? 2 * queuePairs : 2;
}

/**
 * The OFFLOAD bits of a ring: what a transmit ring's guest may leave undone (HOST_ features, CSUM),
 * or what a receive ring's guest accepts undone (GUEST_ features).
 */
function ringOffloads(features: bigint, isTransmit: boolean): number {
  const bits: readonly (readonly [number, number])[] = isTransmit ? HOST_OFFLOADS : GUEST_OFFLOADS;
  return bits.reduce((sum, [bit, value]) => sum | (hasFeature(features, bit) ? value : 0), 0);
}

/**
 * RING_F_GRO for a receive ring whose guest accepts TCP super-frames, else 0, because joined frames
 * would only have to be cut again.
 */
export function groFlag(features: bigint): number {
  const offloads = ringOffloads(features, false);
  const takesSuperFrames = (offloads & (OFFLOAD_TSO4 | OFFLOAD_TSO6)) !== 0;
  return takesSuperFrames && (offloads & OFFLOAD_CHECKSUM) !== 0 ? RING_F_GRO : 0;
}

/**
 * Header size (5.1.6). num_buffers is present with VERSION_1 or MRG_RXBUF, and room for a hash with
 * HASH_REPORT, whether or not hashes were requested, and no matter who serves the control queue.
 */
export function headerSize(features: bigint): number {
  if (hasFeature(features, VIRTIO_NET_F_HASH_REPORT)) return NET_HEADER_SIZE_HASH;
  const isLong =
    hasFeature(features, VIRTIO_F_VERSION_1) || hasFeature(features, VIRTIO_NET_F_MRG_RXBUF);
  return isLong ? NET_HEADER_SIZE : NET_HEADER_SIZE_LEGACY;
}

export interface NetRingSettings {
  guest: ControlSettings;
  /** Whether frames are joined (GRO), if the guest accepts super-frames. */
  hasGro: boolean;
  /** The MTU that the guest is told, if it negotiates one. */
  mtu: number;
}

/** Writes a network device's fields of a ring record. Called again when a setting changes. */
export function writeNetRing(shared: SharedState, ring: Ring, settings: NetRingSettings): void {
  const { guest, hasGro, mtu } = settings;
  const set = (field: number, value: number) => shared.setRingField(ring.number, field, value);
  const isTransmit = ring.role === 'transmit';
  const isReceive = ring.role === 'receive';
  const features = isTransmit ? ring.features : guest.guestFeatures(ring.features);
  const isMergeable = hasFeature(features, VIRTIO_NET_F_MRG_RXBUF);
  const gro = hasGro && isReceive ? groFlag(features) : 0;
  set(RING_FLAGS, ringFlags(features) | (isMergeable ? RING_F_MERGEABLE : 0) | gro);
  set(RING_HEADER_SIZE, headerSize(ring.features));
  set(RING_OFFLOADS, ringOffloads(features, isTransmit));
  const isLimited = isReceive && hasFeature(features, VIRTIO_NET_F_MTU);
  set(RING_MTU, isLimited ? mtu : 0);
  if (ring.role === 'control') return;
  // If either is 0, each packet causes an interrupt (5.1.6.5.9.1).
  const { packets, microseconds } = guest.coalescingOf(ring.queue);
  set(RING_DEFER_MICROSECONDS, microseconds);
  set(RING_DEFER_PACKETS, microseconds === 0 ? 0 : packets);
}
