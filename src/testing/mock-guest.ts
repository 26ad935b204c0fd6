import { VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_RING_PACKED } from '../../layout/virtio.ts';
import { createEventFd, drainEventFd, raiseEventFd } from '../os/event-fd.ts';
import type { Answer } from './control-queue.ts';
import { FrontEnd } from './front-end.ts';
import type { Span } from './guest-memory.ts';
import { type GuestOptions, GuestQueues, MODERN_FEATURES } from './guest-queues.ts';
import {
  announceDriver,
  closeFds,
  DEFAULT_PROTOCOL_FEATURES,
  enableRing,
  type Negotiated,
  negotiate,
  type RingFds,
  shareMemory,
  startRing,
  stopRing,
} from './handshake.ts';
import { type Backlog, Inbox } from './inbox.ts';
import { acquirePoller, type PollerLease } from './shared-poller.ts';
import type { Layout } from './slot.ts';

export interface MockGuestOptions extends GuestOptions {
  protocolFeatures?: readonly number[];
  /** Queues that the driver starts; guest firmware often starts only some. Default: all. */
  queues?: readonly number[];
  /** Whether received buffers are posted again at once. */
  repost?: boolean;
  /** Buffers posted per receive queue before the first frame. */
  receiveBuffers?: number;
  /**
   * The test writes the rings itself: nothing is posted, reclaimed or checked here; calls only wake
   * waiters.
   */
  isRaw?: boolean;
  /** Called for every received frame, which is then not kept. */
  onFrame?: (frame: Uint8Array, pair: number) => void;
}

/** A guest without a connection. */
export interface Orphan {
  queues: GuestQueues;
  options: MockGuestOptions;
}

interface Waiter {
  wanted: () => boolean;
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * A guest: its driver and its VMM in one. It speaks vhost-user, owns memory and rings, sends and
 * receives frames. It is event-driven: call eventfds wake it through the poller.
 *
 *   send ─► transmit ring ─kick─► NIC ─► receive ring ─call─► inbox ─► nextFrame
 */
export class MockGuest {
  readonly options: MockGuestOptions;
  readonly frontEnd: FrontEnd;
  readonly negotiated: Negotiated;
  readonly queues: GuestQueues;
  readonly inbox: Inbox;
  kicks = 0;
  calls = 0;
  readonly #fds = new Map<number, RingFds>();
  readonly #lease: PollerLease = acquirePoller();
  readonly #waiters: Waiter[] = [];
  #failure: Error | null = null;
  #break: (error: Error) => void = () => {};
  /** Rejects when a check fails. */
  readonly #broken: Promise<never>;

  private constructor(
    frontEnd: FrontEnd,
    negotiated: Negotiated,
    options: MockGuestOptions,
    queues?: GuestQueues,
  ) {
    this.options = options;
    this.frontEnd = frontEnd;
    this.negotiated = negotiated;
    const features = [...negotiated.features];
    this.queues = queues ?? new GuestQueues({ ...options, features, packed: false });
    this.inbox = new Inbox(options.onFrame);
    this.#broken = new Promise((_, reject) => {
      this.#break = reject;
    });
    this.#broken.catch(() => undefined); // waiting callers get it
  }

  /** Connects to a NIC that listens on `path`, and starts. */
  static connect(path: string, options: MockGuestOptions = {}): Promise<MockGuest> {
    return MockGuest.attach(FrontEnd.connect(path), options);
  }

  /** Starts over an existing connection. */
  static async attach(frontEnd: FrontEnd, options: MockGuestOptions = {}): Promise<MockGuest> {
    const guest = await MockGuest.negotiate(frontEnd, options);
    await guest.start();
    return guest;
  }

  /** A new connection for a guest that has lost its connection: the rings continue. */
  static async adopt(path: string, orphan: Orphan): Promise<MockGuest> {
    const guest = await MockGuest.negotiate(FrontEnd.connect(path), orphan.options, orphan.queues);
    await guest.start();
    return guest;
  }

  /** Negotiates, but shares no memory and starts no ring yet. */
  static async negotiate(
    frontEnd: FrontEnd,
    options: MockGuestOptions = {},
    queues?: GuestQueues,
  ): Promise<MockGuest> {
    const packed = options.packed === true ? [VIRTIO_F_RING_PACKED] : [];
    const wanted = [...(options.features ?? MODERN_FEATURES), ...packed];
    const protocol = options.protocolFeatures ?? DEFAULT_PROTOCOL_FEATURES;
    const negotiated = await negotiate(frontEnd, wanted, protocol);
    return new MockGuest(frontEnd, negotiated, options, queues);
  }

  /** Shares memory, posts receive buffers and starts the rings. */
  async start(): Promise<void> {
    await shareMemory(this.frontEnd, this.queues.memory, this.negotiated);
    for (const queue of this.#startedQueues()) await this.startQueue(queue);
    await announceDriver(this.frontEnd, this.negotiated);
    // Without REPLY_ACK nothing is acknowledged: an answer proves that all of it was read.
    await this.frontEnd.ask('GET_FEATURES');
  }

  async startQueue(queue: number): Promise<void> {
    const fds = { kick: createEventFd(), call: createEventFd() };
    this.#fds.set(queue, fds);
    this.#lease.poller.add(fds.call, () => this.#onCall(queue));
    const ring = this.queues.queue(queue);
    const isReceive = (queue & 1) === 0 && queue !== this.queues.controlNumber;
    if (isReceive && this.options.isRaw !== true) {
      this.queues.pair(queue >> 1).receive.post(this.options.receiveBuffers);
      ring.publish();
    }
    ring.armCall();
    await startRing(this.frontEnd, queue, ring, fds);
    if (this.negotiated.features.has(VHOST_USER_F_PROTOCOL_FEATURES)) {
      await enableRing(this.frontEnd, queue, true);
    }
  }

  /** Stops a ring, as a driver does when it unloads. Returns the device's position. */
  async stopQueue(queue: number): Promise<number> {
    const base = await stopRing(this.frontEnd, queue);
    this.#forgetFds(queue);
    return base;
  }

  /** Starts all rings over, as a driver does after a reset. */
  async restart(): Promise<void> {
    for (const queue of [...this.#fds.keys()]) this.#forgetFds(queue);
    this.queues.reset();
    await this.start();
  }

  /** Sends a packet that the test has written to guest memory; resolves when it is returned. */
  async sendSpan(span: Span, frameLength: number): Promise<void> {
    const { transmit } = this.queues.pair(0);
    const before = transmit.spansReturned;
    transmit.sendSpan(span.address, this.queues.headerSize + frameLength);
    this.flush();
    await this.#until(() => transmit.spansReturned > before, 1);
  }

  /**
   * Puts a frame on a transmit ring and kicks if the device wants it. False if the ring is full.
   */
  send(frame: Uint8Array, layout?: Layout, pair = 0): boolean {
    if (!this.stage(frame, layout, pair)) return false;
    this.flush(pair);
    return true;
  }

  /** Puts a frame on a transmit ring without telling the device. */
  stage(frame: Uint8Array, layout?: Layout, pair = 0): boolean {
    const { transmit } = this.queues.pair(pair);
    if (transmit.trySend(frame, layout)) return true;
    transmit.reclaim();
    return transmit.trySend(frame, layout);
  }

  /** Shows staged frames to the device. */
  flush(pair = 0): void {
    if (this.queues.pair(pair).transmit.ring.publish()) this.kick(pair * 2 + 1);
  }

  /** Sends all frames; waits whenever the ring is full. */
  async sendAll(frames: Iterable<Uint8Array>, layout?: Layout, pair = 0): Promise<void> {
    for (const frame of frames) {
      while (!this.stage(frame, layout, pair)) {
        this.flush(pair);
        await this.#waitForRoom(pair);
      }
    }
    this.flush(pair);
  }

  /** Sends a command on the control queue; resolves with the device's answer. */
  command(bytes: Uint8Array, resultBytes = 0): Promise<Answer> {
    const { control, controlNumber } = this.queues;
    if (control === null) throw new Error('assertion: no control queue');
    const answer = control.send(bytes, resultBytes);
    if (control.ring.publish()) this.kick(controlNumber);
    return Promise.race([answer, this.#broken]);
  }

  /** Resolves when the device has returned every transmitted buffer. */
  waitTransmitted(pair = 0): Promise<void> {
    const { transmit } = this.queues.pair(pair);
    return this.#until(() => transmit.outstanding === 0, pair * 2 + 1);
  }

  /** Resolves when the used index of a split ring has reached `index`. */
  waitUsed(queue: number, index: number): Promise<void> {
    const ring = this.queues.ring(queue);
    return this.#until(() => ring.usedIndex === index, queue);
  }

  /** Resolves when the device has returned the slot at a place of a packed ring. */
  waitUsedAt(queue: number, place: number): Promise<void> {
    const ring = this.queues.packedRing(queue);
    return this.#until(() => ring.isUsedAt(place), queue);
  }

  nextFrame(): Promise<Uint8Array> {
    return this.inbox.next();
  }

  /** Resolves with the next `count` frames. */
  waitReceived(count: number): Promise<Uint8Array[]> {
    return this.inbox.take(count);
  }

  received(): Backlog {
    return this.inbox.backlog;
  }

  kick(queue: number): void {
    const fds = this.#fds.get(queue);
    if (fds === undefined) return;
    this.kicks += 1;
    raiseEventFd(fds.kick);
  }

  fdsOf(queue: number): RingFds {
    const fds = this.#fds.get(queue);
    if (fds === undefined) throw new Error(`assertion: queue ${queue} has not started`);
    return fds;
  }

  /** Posts more receive buffers: needed without `repost`. */
  post(pair = 0, limit?: number): number {
    const { receive } = this.queues.pair(pair);
    const posted = receive.post(limit);
    if (receive.ring.publish()) this.kick(pair * 2);
    return posted;
  }

  /** Services all rings now, whether or not the device has called. Throws if a check failed. */
  poll(): void {
    for (const queue of this.#fds.keys()) this.#service(queue);
    if (this.#failure !== null) throw this.#failure;
  }

  /** Closes the connection, as when a VMM is killed. */
  close(): void {
    this.orphan().queues.close();
  }

  /** Closes the connection but keeps the guest: a new one can adopt its memory and rings. */
  orphan(): Orphan {
    for (const queue of [...this.#fds.keys()]) this.#forgetFds(queue);
    this.frontEnd.close();
    this.#lease.release();
    this.#fail(new Error('the mock guest was closed'));
    return { queues: this.queues, options: this.options };
  }

  #startedQueues(): readonly number[] {
    const data = Array.from({ length: this.queues.queueCount }, (_, i) => i);
    const { control, controlNumber } = this.queues;
    return this.options.queues ?? (control === null ? data : [...data, controlNumber]);
  }

  #forgetFds(queue: number): void {
    const fds = this.#fds.get(queue);
    if (fds === undefined) return;
    this.#lease.poller.remove(fds.call);
    this.#fds.delete(queue);
    closeFds(fds);
  }

  #waitForRoom(pair: number): Promise<void> {
    const { transmit } = this.queues.pair(pair);
    const before = transmit.completed;
    return this.#until(
      () => transmit.completed !== before || transmit.outstanding === 0,
      pair * 2 + 1,
    );
  }

  #until(wanted: () => boolean, queue: number): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ wanted, resolve, reject });
      this.#service(queue);
    });
  }

  #onCall(queue: number): void {
    drainEventFd(this.fdsOf(queue).call);
    this.calls += 1;
    this.#service(queue);
  }

  /** Handles what the device returned, then requests a call; repeats if more came in between. */
  #service(queue: number): void {
    const ring = this.queues.queue(queue);
    try {
      do {
        if (this.options.isRaw === true) ring.skipUsed();
        else if (queue === this.queues.controlNumber) this.queues.control?.reclaim();
        else if ((queue & 1) === 0) this.#receive(queue >> 1);
        else this.queues.pair(queue >> 1).transmit.reclaim();
      } while (ring.armCall());
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    for (let i = this.#waiters.length - 1; i >= 0; i--) {
      const waiter = this.#waiters[i];
      if (waiter?.wanted() !== true) continue;
      this.#waiters.splice(i, 1);
      waiter.resolve();
    }
  }

  #receive(pair: number): void {
    const { receive } = this.queues.pair(pair);
    let frames = 0;
    for (let frame = receive.take(); frame !== null; frame = receive.take()) {
      this.inbox.put(frame, pair);
      frames += 1;
    }
    if (frames > 0 && this.options.repost !== false) this.post(pair);
  }

  /** A check failed in an event handler: waiters are rejected, and `poll` throws the error. */
  #fail(error: Error): void {
    this.#failure ??= error;
    this.inbox.fail(error);
    this.#break(error);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}
