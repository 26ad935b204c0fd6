import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
} from '../../layout/virtio.ts';
import { createEventFd, drainEventFd, raiseEventFd } from '../../src/os/event-fd.ts';
import type { DriverQueue } from '../../src/testing/driver-queue.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { GuestMemory, type Span } from '../../src/testing/guest-memory.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import {
  closeFds,
  enableRing,
  negotiate,
  type RingFds,
  shareMemory,
  startRing,
  stopRing,
} from '../../src/testing/handshake.ts';
import { PackedQueue } from '../../src/testing/packed-queue.ts';
import { acquirePoller, type PollerLease } from '../../src/testing/shared-poller.ts';
import { SplitQueue } from '../../src/testing/split-queue.ts';

const CANARY = 0x9b;
const INDIRECT_ENTRIES_MAX = 8;

/** A buffer of a chain, allocated in the guest's memory unless it has an address. */
export interface Piece {
  length: number;
  isWritable: boolean;
  address?: number;
}

interface Pending {
  key: number;
  spans: Span[];
  resolve: (bytes: Uint8Array) => void;
}

/**
 * A driver of an entropy device and its VMM in one. Posts buffers, and takes them back when it is
 * interrupted.
 */
export class RngGuest {
  readonly frontEnd: FrontEnd;
  readonly ring: DriverQueue;
  readonly memory = new GuestMemory();
  calls = 0;
  readonly #lease: PollerLease = acquirePoller();
  #fds: RingFds | null = null;
  #pending: Pending[] = [];
  #fail: (error: Error) => void = () => {};
  readonly #broken = new Promise<never>((_, reject) => {
    this.#fail = reject;
  });

  private constructor(frontEnd: FrontEnd, features: ReadonlySet<number>) {
    this.frontEnd = frontEnd;
    const Queue = features.has(VIRTIO_F_RING_PACKED) ? PackedQueue : SplitQueue;
    this.ring = new Queue(this.memory, {
      size: 64,
      eventIndex: features.has(VIRTIO_F_EVENT_IDX),
      inOrder: features.has(VIRTIO_F_IN_ORDER),
      indirectEntriesMax: INDIRECT_ENTRIES_MAX,
    });
    this.#broken.catch(() => undefined); // waiting callers get the error
  }

  static async connect(socket: string, { packed = false } = {}): Promise<RngGuest> {
    const frontEnd = FrontEnd.connect(socket);
    const wanted = [...MODERN_FEATURES, ...(packed ? [VIRTIO_F_RING_PACKED] : [])];
    const negotiated = await negotiate(frontEnd, wanted);
    const guest = new RngGuest(frontEnd, negotiated.features);
    await shareMemory(frontEnd, guest.memory, negotiated);
    await guest.start();
    return guest;
  }

  async start(): Promise<void> {
    const fds = { kick: createEventFd(), call: createEventFd() };
    this.#fds = fds;
    this.#lease.poller.add(fds.call, () => this.#onCall(fds.call));
    this.ring.armCall();
    await startRing(this.frontEnd, 0, this.ring, fds);
    await enableRing(this.frontEnd, 0, true);
  }

  /** Restarts the ring, as a driver does after a reset. Chains in flight are forgotten. */
  async restart(): Promise<void> {
    await stopRing(this.frontEnd, 0);
    this.#forgetFds();
    this.#pending = [];
    this.ring.reset();
    await this.start();
  }

  /** Posts a buffer of `length` bytes. Resolves with the bytes that the device has written. */
  read(length: number): Promise<Uint8Array> {
    return this.offer([{ length, isWritable: true }]);
  }

  /** Posts a chain. Resolves with the bytes that the device has written into it. */
  offer(chain: readonly Piece[], isIndirect = false): Promise<Uint8Array> {
    const spans: Span[] = [];
    for (const { length, isWritable, address } of chain) {
      const span = this.memory.allocate(length);
      this.memory.bytes.fill(CANARY, span.offset, span.offset + length);
      if (isWritable) spans.push(span);
      this.ring.piece(address ?? span.address, length, isWritable);
    }
    const key = this.ring.commit(isIndirect);
    const answer = new Promise<Uint8Array>((resolve) => {
      this.#pending.push({ key, spans, resolve });
    });
    if (this.ring.publish()) this.kick();
    return Promise.race([answer, this.#broken]);
  }

  kick(): void {
    if (this.#fds !== null) raiseEventFd(this.#fds.kick);
  }

  close(): void {
    this.#forgetFds();
    this.frontEnd.close();
    this.#lease.release();
    this.memory.close();
  }

  #forgetFds(): void {
    if (this.#fds === null) return;
    this.#lease.poller.remove(this.#fds.call);
    closeFds(this.#fds);
    this.#fds = null;
  }

  #onCall(fd: number): void {
    drainEventFd(fd);
    this.calls += 1;
    try {
      do this.#takeBack();
      while (this.ring.armCall());
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #takeBack(): void {
    for (let key = this.ring.popUsed(); key !== -1; key = this.ring.popUsed()) {
      const pending = this.#pending.shift();
      if (pending?.key !== key) throw new Error(`the device returned chain ${key}`);
      const bytes = pending.spans.flatMap(({ offset, length }) => [
        ...this.memory.bytes.subarray(offset, offset + length),
      ]);
      const { usedLength } = this.ring;
      if (usedLength > bytes.length) throw new Error(`${usedLength} of ${bytes.length} bytes`);
      if (bytes.slice(usedLength).some((byte) => byte !== CANARY)) {
        throw new Error('the device wrote more than it reported');
      }
      pending.resolve(Uint8Array.from(bytes.slice(0, usedLength)));
    }
  }
}
