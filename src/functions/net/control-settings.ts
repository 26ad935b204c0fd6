import * as virtio from '../../../layout/virtio.ts';
import type { FlowHashing, SteeringTable } from '../../state/flow-record.ts';
import { featureSet } from '../../virtqueue/features.ts';

/** What a receive ring's guest may take undone, and switch on and off while it runs. */
const GUEST_OFFLOADS = featureSet([
  virtio.VIRTIO_NET_F_GUEST_CSUM,
  virtio.VIRTIO_NET_F_GUEST_TSO4,
  virtio.VIRTIO_NET_F_GUEST_TSO6,
  virtio.VIRTIO_NET_F_GUEST_ECN,
  virtio.VIRTIO_NET_F_GUEST_UFO,
  virtio.VIRTIO_NET_F_GUEST_USO4,
  virtio.VIRTIO_NET_F_GUEST_USO6,
]);

/** When an interrupt is due: after so many packets, or so long after the first. */
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

/** What a guest sets through its control queue (5.1.6.5); as the specification has it at reset. */
export class ControlSettings {
  /** Queue pairs in use. */
  queuePairs = 1;
  /** In place of automatic steering over those pairs (RSS). */
  table: SteeringTable | null = null;
  hashing: FlowHashing | null = null;
  /** Its own choice in place of the configured address. */
  mac: Uint8Array | null = null;
  isPromiscuous = false;
  isAllMulticast = false;
  /** Addresses beside its own: the switch forwards by what it has learned, and needs none. */
  filteredAddresses = 0;
  /** Feature bits of the offloads that it takes; null: all that were negotiated. */
  guestOffloads: bigint | null = null;

  readonly #coalescing = { receive: AT_ONCE, transmit: AT_ONCE };
  readonly #coalescingOfQueues = new Map<number, Coalescing>();

  reset(): void {
    this.setCoalescing('receive', AT_ONCE);
    this.setCoalescing('transmit', AT_ONCE);
    Object.assign(this, new ControlSettings());
  }

  /** The last one to be set for a queue counts, for it alone or for all of its kind. */
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

  /** The guest has stopped a queue: in its next life it is like all others of its kind. */
  forgetQueue(queue: number): void {
    this.#coalescingOfQueues.delete(queue);
  }

  /** The negotiated features less the offloads that the guest does not want for now. */
  guestFeatures(features: bigint): bigint {
    if (this.guestOffloads === null) return features;
    return features & (this.guestOffloads | ~GUEST_OFFLOADS);
  }

  /** Whether these are offloads, and all negotiated. */
  areGuestOffloads(offloads: bigint, features: bigint): boolean {
    return (offloads & ~(GUEST_OFFLOADS & features)) === 0n;
  }
}

function kindOf(queue: number): 'receive' | 'transmit' {
  return queue % 2 === 1 ? 'transmit' : 'receive';
}
