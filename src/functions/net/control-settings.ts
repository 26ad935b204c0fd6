import * as virtio from '../../../layout/virtio.ts';
import type { FlowHashing, SteeringTable } from '../../state/flow-record.ts';
import { featureSet } from '../../virtqueue/features.ts';

/** Offloads that a receive ring's guest can switch on and off while it runs. */
const GUEST_OFFLOADS = featureSet([
  virtio.VIRTIO_NET_F_GUEST_CSUM,
  virtio.VIRTIO_NET_F_GUEST_TSO4,
  virtio.VIRTIO_NET_F_GUEST_TSO6,
  virtio.VIRTIO_NET_F_GUEST_ECN,
  virtio.VIRTIO_NET_F_GUEST_UFO,
  virtio.VIRTIO_NET_F_GUEST_USO4,
  virtio.VIRTIO_NET_F_GUEST_USO6,
]);

/** An interrupt is due after this many packets, or this long after the first one. */
export interface Coalescing {
  packets: number;
  microseconds: number;
}

export interface ControlSettingsState {
  queuePairs: number;
  table: SteeringTable | null;
  hashing: FlowHashing | null;
  mac: Uint8Array | null;
  isPromiscuous: boolean;
  isAllMulticast: boolean;
  filteredAddresses: number;
  guestOffloads: bigint | null;
  coalescing: { receive: Coalescing; transmit: Coalescing };
  coalescingOfQueues: [queue: number, coalescing: Coalescing][];
}

const AT_ONCE: Coalescing = { packets: 0, microseconds: 0 };

/**
 * What a guest sets through its control queue (5.1.6.5). Initial values are the specification's
 * values after reset.
 */
export class ControlSettings {
  /** Queue pairs in use. */
  queuePairs = 1;
  /** RSS table; null: automatic steering over the queue pairs in use. */
  table: SteeringTable | null = null;
  hashing: FlowHashing | null = null;
  /** The address chosen by the guest; null: the configured one. */
  mac: Uint8Array | null = null;
  isPromiscuous = false;
  isAllMulticast = false;
  /**
   * Number of addresses in the MAC filter. The switch forwards by what it has learned and needs no
   * filter.
   */
  filteredAddresses = 0;
  /** Feature bits of the accepted offloads; null: all that were negotiated. */
  guestOffloads: bigint | null = null;

  readonly #coalescing = { receive: AT_ONCE, transmit: AT_ONCE };
  readonly #coalescingOfQueues = new Map<number, Coalescing>();

  reset(): void {
    this.setCoalescing('receive', AT_ONCE);
    this.setCoalescing('transmit', AT_ONCE);
    Object.assign(this, new ControlSettings());
  }

  /**
   * The latest setting that covers the queue, whether for this queue or for all of its direction.
   */
  coalescingOf(queue: number): Coalescing {
    return this.#coalescingOfQueues.get(queue) ?? this.#coalescing[kindOf(queue)];
  }

  setCoalescing(kind: 'receive' | 'transmit', coalescing: Coalescing): void {
    this.#coalescing[kind] = coalescing;
    for (const queue of this.#coalescingOfQueues.keys()) {
      if (kindOf(queue) === kind) this.#coalescingOfQueues.delete(queue);
    }
  }

  setCoalescingOf(queue: number, coalescing: Coalescing): void {
    this.#coalescingOfQueues.set(queue, coalescing);
  }

  save(): ControlSettingsState {
    const { queuePairs, table, hashing, mac, isPromiscuous, isAllMulticast } = this;
    const { filteredAddresses, guestOffloads } = this;
    return structuredClone({
      ...{ queuePairs, table, hashing, mac, isPromiscuous, isAllMulticast },
      ...{ filteredAddresses, guestOffloads, coalescing: this.#coalescing },
      coalescingOfQueues: [...this.#coalescingOfQueues],
    });
  }

  restore(state: ControlSettingsState): void {
    const { coalescing, coalescingOfQueues, ...settings } = structuredClone(state);
    Object.assign(this, settings);
    Object.assign(this.#coalescing, coalescing);
    this.#coalescingOfQueues.clear();
    for (const [queue, set] of coalescingOfQueues) this.#coalescingOfQueues.set(queue, set);
  }

  /**
   * The guest has stopped a queue. When it starts again, it is like all others of its direction.
   */
  forgetQueue(queue: number): void {
    this.#coalescingOfQueues.delete(queue);
  }

  /** The negotiated features, minus the offloads that the guest has switched off. */
  guestFeatures(features: bigint): bigint {
    if (this.guestOffloads === null) return features;
    return features & (this.guestOffloads | ~GUEST_OFFLOADS);
  }

  /** Whether all bits are offloads, and negotiated. */
  areGuestOffloads(offloads: bigint, features: bigint): boolean {
    return (offloads & ~(GUEST_OFFLOADS & features)) === 0n;
  }
}

function kindOf(queue: number): 'receive' | 'transmit' {
  return queue % 2 === 1 ? 'transmit' : 'receive';
}
