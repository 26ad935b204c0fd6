// An uplink as the control plane sees it: it opens wires and says what they can do.

import {
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_USO4,
  VIRTIO_NET_F_GUEST_USO6,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_USO,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import { featureSet } from '../virtqueue/features.ts';
import type { WireSettings } from '../wires/wires.ts';
import type { KernelStats } from './kernel-stats.ts';
import type { UplinkCapabilities } from './types.ts';

/** The wires of an uplink that is up: one for each queue pair. */
export interface Wires {
  capabilities: UplinkCapabilities;
  settings: readonly WireSettings[];
}

export interface SourceListener {
  onUp(wires: Wires): void;
  /** The wires are unusable until the next `onUp`. */
  onDown(reason: string): void;
}

/** The memory file of an uplink's ports: PAIR_SIZE bytes for each queue pair. */
export interface PortFile {
  fd: number;
  pairs: number;
  /** Whether the processors can map a ring of the kernel for each pair. */
  hasRingRoom: boolean;
}

/** Plain data: which, its kind knows. */
export type SourceState = object;

/** One kind of uplink: opens its wires, watches them, and closes them. */
export interface UplinkSource {
  /**
   * Throws an OperatorError if it cannot start. May be up at once or later, and repeatedly.
   */
  start(listener: SourceListener, file: PortFile): Promise<void>;
  /** A processor found a wire dead. */
  lose(reason: string): void;
  /** Nobody uses the wires of the last `onUp` any more: closes what is broken, and tries again. */
  release(): void;
  /** What it has open, as data; null where another source can only open it anew. */
  save(): SourceState | null;
  /**
   * In place of `start`: goes on with what another one of its kind has handed over, or opens it
   * anew where there is nothing. Returns the wires that are up; of what comes up later, the
   * listener hears. Waits for nothing, and only takes over: it reads, closes and opens nothing
   * before the poller opens (`whenOpen`), because a NIC that cannot be restored leaves everything
   * to the next attempt.
   */
  restore(listener: SourceListener, file: PortFile, state: SourceState | null): Wires | null;
  /**
   * Leaves open what it has saved, to another one. Nobody hears of it from now on; processors still
   * use the wires.
   */
  handOver(): void;
  /** After `handOver`, when no processor uses the wires: unmaps what they used. */
  leave?(): void;
  /** The kernel's counters of what is open, if it has any. */
  kernelStats?(): KernelStats | undefined;
  /** Closes everything; nobody uses the wires. */
  stop(): Promise<void>;
}

/** The features that a port "negotiates": what its wires accept and deliver incomplete. */
export function featuresOf(capabilities: UplinkCapabilities): bigint {
  const bits: number[] = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF];
  if (capabilities.checksum) bits.push(VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM);
  else if (capabilities.checksumFromWorld === true) bits.push(VIRTIO_NET_F_CSUM);
  if (capabilities.segmentation !== 'none') {
    bits.push(VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_ECN);
    bits.push(VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN);
  }
  if (capabilities.segmentation === 'tcp and udp') {
    bits.push(VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6);
  }
  return featureSet(bits);
}
