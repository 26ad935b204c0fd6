import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_HASH_REPORT,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_RSS,
} from '../../layout/virtio.ts';
import { ControlQueue } from './control-queue.ts';
import type { DriverQueue } from './driver-queue.ts';
import { GuestMemory, type GuestMemoryOptions } from './guest-memory.ts';
import { PackedQueue } from './packed-queue.ts';
import { Random } from './random.ts';
import { ReceiveQueue } from './receive-queue.ts';
import { type Layout, SLOT_PIECES_MAX } from './slot.ts';
import { SplitQueue } from './split-queue.ts';
import { TransmitQueue } from './transmit-queue.ts';

/** Feature bits that a modern Linux guest would accept. */
export const MODERN_FEATURES: readonly number[] = [
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_NET_F_MQ,
];

export interface GuestOptions {
  /** Feature bits that the driver accepts if they are offered. */
  features?: readonly number[];
  /** Packed rings, if they are offered. */
  packed?: boolean;
  /** The MTU that the driver has negotiated, for tests of the firmware alone. */
  mtu?: number;
  queuePairs?: number;
  /** Pairs of the device, if the driver uses fewer: the control queue comes after the device's. */
  queuePairsMax?: number;
  queueSize?: number;
  layout?: Layout;
  receiveLayout?: Layout;
  /** Share of chains that are indirect, if that is negotiated. */
  indirectShare?: number;
  frameSizeMax?: number;
  /** Sizes of receive buffers; without mergeable buffers all are `frameSizeMax`. */
  bufferBytesMin?: number;
  bufferBytesMax?: number;
  /** The device may return buffers in any order if IN_ORDER is not negotiated. */
  anyOrder?: boolean;
  /** Most buffers in flight in each queue. */
  slots?: number;
  canaries?: boolean;
  /** Slots that the rings start after: a number near 65535 makes split rings wrap. */
  ringBase?: number;
  memory?: GuestMemoryOptions | GuestMemory;
  seed?: number;
}

export interface QueuePair {
  receive: ReceiveQueue;
  transmit: TransmitQueue;
}

/**
 * The memory and rings of a guest, without a socket: what a driver sets up after negotiation.
 */
export class GuestQueues {
  readonly memory: GuestMemory;
  readonly random: Random;
  readonly features: ReadonlySet<number>;
  readonly headerSize: number;
  readonly pairs: QueuePair[] = [];
  /** Null without CTRL_VQ. */
  readonly control: ControlQueue | null;
  /** The number of the control queue (5.1.2), or −1. */
  readonly controlNumber: number;
  readonly options: GuestOptions;

  constructor(options: GuestOptions) {
    this.options = options;
    const packed = options.packed === true ? [VIRTIO_F_RING_PACKED] : [];
    this.features = new Set([...(options.features ?? MODERN_FEATURES), ...packed]);
    this.random = new Random(options.seed ?? 1);
    const { memory } = options;
    this.memory =
      memory instanceof GuestMemory
        ? memory
        : new GuestMemory({ seed: this.random.next(), ...memory });
    const isModern = this.features.has(VIRTIO_F_VERSION_1);
    const isLong = isModern || this.features.has(VIRTIO_NET_F_MRG_RXBUF);
    const hasHash = this.features.has(VIRTIO_NET_F_HASH_REPORT);
    this.headerSize = hasHash ? 20 : isLong ? 12 : 10;
    for (let i = 0; i < (options.queuePairs ?? 1); i++) this.pairs.push(this.#createPair());
    const hasControl = this.features.has(VIRTIO_NET_F_CTRL_VQ);
    const pairs = options.queuePairsMax ?? options.queuePairs ?? 1;
    this.control = hasControl
      ? new ControlQueue(this.memory, this.#createRing(), this.random)
      : null;
    const isMulti = this.features.has(VIRTIO_NET_F_MQ) || this.features.has(VIRTIO_NET_F_RSS);
    const number = isMulti ? pairs * 2 : 2;
    this.controlNumber = hasControl ? number : -1;
  }

  /** The ring of a virtqueue by its number: receive 0, 2, 4 …, transmit 1, 3, 5 … */
  queue(queue: number): DriverQueue {
    if (this.control !== null && queue === this.controlNumber) return this.control.ring;
    const pair = this.pair(queue >> 1);
    return (queue & 1) === 0 ? pair.receive.ring : pair.transmit.ring;
  }

  /** A virtqueue that is known to be split. */
  ring(queue: number): SplitQueue {
    const ring = this.queue(queue);
    if (!(ring instanceof SplitQueue)) throw new Error('assertion: not a split ring');
    return ring;
  }

  /** A virtqueue that is known to be packed. */
  packedRing(queue: number): PackedQueue {
    const ring = this.queue(queue);
    if (!(ring instanceof PackedQueue)) throw new Error('assertion: not a packed ring');
    return ring;
  }

  pair(index: number): QueuePair {
    const pair = this.pairs[index];
    if (pair === undefined) throw new Error(`assertion: no queue pair ${index}`);
    return pair;
  }

  get queueCount(): number {
    return this.pairs.length * 2;
  }

  /** The rings start over at `base`; nothing is in flight. */
  reset(base = 0): void {
    for (const { receive, transmit } of this.pairs) {
      receive.ring.reset(base);
      receive.forget();
      transmit.ring.reset(base);
      transmit.forget();
    }
    this.control?.reset(base);
  }

  /** Closes the memory, unless the caller passed it in. */
  close(): void {
    if (!(this.options.memory instanceof GuestMemory)) this.memory.close();
  }

  #createPair(): QueuePair {
    const { options, memory, random, headerSize } = this;
    const { frameSizeMax = 1514, layout = 'random', slots = 256, canaries = true } = options;
    const isMergeable = this.features.has(VIRTIO_NET_F_MRG_RXBUF);
    const hasIndirect = this.features.has(VIRTIO_F_INDIRECT_DESC);
    const indirectShare = hasIndirect ? (options.indirectShare ?? 0.5) : 0;
    const common = { headerSize, indirectShare, slots, canaries, random };
    const largest = isMergeable ? (options.bufferBytesMax ?? frameSizeMax) : frameSizeMax;
    return {
      receive: new ReceiveQueue(memory, this.#createRing(), {
        ...common,
        layout: options.receiveLayout ?? layout,
        isMergeable,
        takesOffloads: this.features.has(VIRTIO_NET_F_GUEST_CSUM),
        bufferBytesMin: isMergeable ? (options.bufferBytesMin ?? largest) : largest,
        bufferBytesMax: largest,
      }),
      transmit: new TransmitQueue(memory, this.#createRing(), { ...common, layout, frameSizeMax }),
    };
  }

  #createRing(): DriverQueue {
    const Queue = this.features.has(VIRTIO_F_RING_PACKED) ? PackedQueue : SplitQueue;
    return new Queue(this.memory, {
      size: this.options.queueSize ?? 256,
      eventIndex: this.features.has(VIRTIO_F_EVENT_IDX),
      inOrder: this.features.has(VIRTIO_F_IN_ORDER),
      anyOrder: this.options.anyOrder === true,
      indirectEntriesMax: this.features.has(VIRTIO_F_INDIRECT_DESC) ? SLOT_PIECES_MAX : 0,
      base: this.options.ringBase ?? 0,
    });
  }
}
