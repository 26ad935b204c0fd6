import { IOTLB_READ, IOTLB_WRITE } from '../../layout/memory.ts';
import { VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_ACCESS_PLATFORM } from '../../layout/virtio.ts';
import { everyStep } from '../background.ts';
import { LifeCycle, type Transitions } from '../life-cycle.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { IOMMU_PAGE_SIZE, pageStart } from '../memory/iotlb.ts';
import { closeFd } from '../os/descriptor.ts';
import { c } from '../os/libc.ts';
import { closeSignal } from '../os/peer-signal.ts';
import type { Poller } from '../os/poller.ts';
import type { RingSet } from '../virtqueue/ring-set.ts';
import {
  controlQueueOf,
  createRingSetup,
  hasFeature,
  isStartable,
  type RingSetup,
  ringParts,
  type TranslatePage,
} from '../virtqueue/ring-setup.ts';
import { BackendChannel } from './backend-channel.ts';
import { Connection, type Message } from './connection.ts';
import { type FeatureChoice, offeredFeatures } from './features.ts';
import { Iommu } from './iommu.ts';
import {
  BackendRequest,
  FLAG_REPLY,
  ProtocolFeature,
  requestName,
  wantsAnswer,
  writeMessage,
  writeU64,
} from './message.ts';
import { placeProblem } from './not-shared.ts';
import { Refusal } from './refusal.ts';
import { admit } from './requests.ts';

/**
 * connected: the socket is open. negotiated: features are acknowledged. running: a ring runs.
 * closed: the socket and all that came through it are gone.
 */
export type SessionState = 'connected' | 'negotiated' | 'running' | 'closed';

export const SESSION_TRANSITIONS: Transitions<SessionState> = {
  connected: ['negotiated', 'closed'],
  negotiated: ['running', 'closed'],
  running: ['negotiated', 'closed'],
  closed: [],
};

/** What a session needs to know of its VF. */
export interface SessionDevice extends FeatureChoice {
  readonly name: string;
  readonly rings: RingSet;
  readonly queuePairs: number;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly isLinkUp: boolean;
  readonly allowUnsealedMemory: boolean;
}

export interface SessionListener {
  onStateChange(): void;
  /** The front-end reset its device. */
  onReset(): void;
  onRefusal(reason: string): void;
  /** Nothing is refused, but the operator should know. */
  onOddity(reason: string): void;
  /** The guest named an address that its IOMMU does not translate. */
  onUntranslatable(iova: bigint): void;
  onClosed(reason: string | null): void;
}

/**
 * One front-end's connection to a VF: what it negotiated, its memory, and the set-up of its rings.
 */
export class Session {
  readonly device: SessionDevice;
  readonly memory: GuestMemory;
  features = 0n;
  protocolFeatures = 0n;
  status = 0;
  /** What the front-end said its guest's MTU is; 0 if it said nothing. */
  vmmMtu = 0;
  readonly iommu: Iommu;
  readonly #poller: Poller;
  #backend: BackendChannel | null = null;
  readonly #cycle = new LifeCycle<SessionState>('session', SESSION_TRANSITIONS, 'connected');
  readonly #listener: SessionListener;
  readonly #connection: Connection;
  readonly #setups = new Map<number, RingSetup>();
  #work: Promise<void> = Promise.resolve();
  #isProtocolKnown = false;

  constructor(fd: number, poller: Poller, device: SessionDevice, listener: SessionListener) {
    this.device = device;
    this.memory = new GuestMemory(() => device.allowUnsealedMemory);
    this.#listener = listener;
    this.#poller = poller;
    this.iommu = new Iommu(this.memory, {
      publish: (change) => device.rings.changeIotlb(change),
      onDenied: (iova) => listener.onUntranslatable(iova),
    });
    this.#connection = new Connection(fd, poller, {
      onMessage: (message) => {
        this.#work = this.#receive(message);
        return this.#work;
      },
      onClose: (reason) => {
        // After the request in hand, so that nothing is torn down under it.
        const tearDown = (): Promise<void> => this.#tearDown(reason);
        this.#work = this.#work.then(tearDown, tearDown);
      },
    });
  }

  get state(): SessionState {
    return this.#cycle.state;
  }

  /** The connection has ended, and what it held is being freed. */
  get isClosing(): boolean {
    return this.#connection.isClosed;
  }

  /** Closes the connection and frees what it held. */
  async close(): Promise<void> {
    this.#connection.close(null);
    await this.#work;
  }

  /** The set-up of a ring; refuses a number beyond what the VF has. */
  setup(queue: number): RingSetup {
    let setup = this.#setups.get(queue);
    if (setup === undefined) {
      this.#checkQueue(queue);
      setup = createRingSetup();
      this.#setups.set(queue, setup);
    }
    return setup;
  }

  #checkQueue(queue: number): void {
    const queues = this.device.queuePairs * 2;
    if (queue < queues || queue === this.#controlQueue) return;
    throw new Refusal(`ring ${queue} of a VF with ${queues}`);
  }

  get #controlQueue(): number | null {
    const offered = offeredFeatures(this.device);
    return controlQueueOf(this.features & offered, this.device.queuePairs);
  }

  async negotiate(features: bigint): Promise<void> {
    await this.#change(() => {
      this.features = features;
    });
    if (this.#cycle.is('connected')) this.#cycle.to('negotiated');
    this.#listener.onStateChange();
  }

  async negotiateProtocol(features: bigint): Promise<void> {
    await this.#change(() => {
      this.protocolFeatures = features;
    });
    this.#isProtocolKnown = true;
  }

  /**
   * Whether this front-end is known to serve the control queue itself: it has a configuration space
   * of its own, too. QEMU's netdev asks for our features once more after it has said so, and would
   * hand RSS on to its guest.
   */
  get keepsControlQueue(): boolean {
    return this.#isProtocolKnown && !hasFeature(this.protocolFeatures, ProtocolFeature.CONFIG);
  }

  async #change(change: () => void): Promise<void> {
    const before = this.isBehindIommu;
    change();
    const { isBehindIommu } = this;
    if (isBehindIommu === before) return;
    // What an address means has changed, and with it the meaning of all that was named so far.
    await this.withRingsStopped(() => this.device.rings.setBehindIommu(isBehindIommu));
  }

  /**
   * Whether addresses are I/O virtual ones. Without a channel nobody could be asked about those:
   * front-ends that offer their guests ACCESS_PLATFORM and have none mean guest addresses.
   */
  get isBehindIommu(): boolean {
    const hasChannel = hasFeature(this.protocolFeatures, ProtocolFeature.BACKEND_REQ);
    return hasChannel && hasFeature(this.features, VIRTIO_F_ACCESS_PLATFORM);
  }

  /** The channel on which this side asks. Throws a SystemError if it is none. */
  connectBackend(fd: number): void {
    const channel = new BackendChannel(fd, this.#poller);
    this.#backend?.close();
    this.#backend = channel;
    const wantsReplies = hasFeature(this.protocolFeatures, ProtocolFeature.REPLY_ACK);
    this.iommu.connect(channel, wantsReplies);
  }

  /** Starts a ring as soon as everything about it is known. */
  async startWhenComplete(queue: number): Promise<void> {
    const setup = this.setup(queue);
    const isComplete = setup.size > 0 && setup.addresses !== null && setup.kickFd >= 0;
    if (!isComplete || this.memory.regions.length === 0) return;
    if (this.device.rings.isRunning(queue)) return;
    // Each part was checked when it came, but features, size and base may come in any order.
    if (!isStartable(setup, this.features)) {
      throw new Refusal(`ring ${queue}: size, base or addresses do not fit its features`);
    }
    this.#checkQueue(queue);
    setup.isControl = queue === this.#controlQueue;
    // Without protocol features there is no SET_VRING_ENABLE: rings begin enabled.
    if (!hasFeature(this.features, VHOST_USER_F_PROTOCOL_FEATURES)) setup.isEnabled = true;
    const translate = this.isBehindIommu ? this.#translate : undefined;
    // Its addresses are asked for; it starts when the last of them is known.
    if (translate !== undefined && !this.#askForRing(setup)) return;
    const { rings } = this.device;
    const isStarted = await rings.start(queue, setup, this.memory, this.features, translate);
    if (!isStarted) {
      const parts = ringParts(setup, this.features);
      throw new Refusal(`ring ${queue} ${placeProblem(parts, this.memory, this.isBehindIommu)}`);
    }
    this.#updateState();
  }

  /** Said beside what happens, which goes on. */
  tellOddity(reason: string): void {
    this.#listener.onOddity(reason);
  }

  /** Starts whatever is complete by now. */
  async startComplete(): Promise<void> {
    for (const queue of this.#setups.keys()) await this.startWhenComplete(queue);
  }

  /** Stops the rings with a part in a range of addresses; they start again when those are back. */
  async stopRingsWithin({ iova, sizeBytes }: { iova: bigint; sizeBytes: bigint }): Promise<void> {
    const end = iova + sizeBytes;
    const isInside = (part: { address: bigint; lengthBytes: number }) =>
      sizeBytes === 0n || (part.address < end && part.address + BigInt(part.lengthBytes) > iova);
    for (const queue of this.device.rings.queues()) {
      const setup = this.setup(queue);
      if (!ringParts(setup, this.features).some(isInside)) continue;
      setup.base = await this.device.rings.stop(queue);
    }
    this.#updateState();
  }

  readonly #translate: TranslatePage = (iova, isWritten) =>
    this.iommu.lookUp(iova, isWritten ? IOTLB_WRITE : IOTLB_READ);

  /** Whether all parts of a ring are translated. Asks for those that are not. */
  #askForRing(setup: RingSetup): boolean {
    let isComplete = true;
    for (const { address, lengthBytes, isWritten } of ringParts(setup, this.features)) {
      const end = address + BigInt(lengthBytes);
      for (let iova = pageStart(address); iova < end; iova += BigInt(IOMMU_PAGE_SIZE)) {
        if (this.#translate(iova, isWritten) !== null) continue;
        this.iommu.miss(iova, isWritten ? IOTLB_WRITE : IOTLB_READ);
        isComplete = false;
      }
    }
    return isComplete;
  }

  /** Stops a ring and forgets its kick; returns where it stands. */
  async stopRing(queue: number): Promise<number> {
    const setup = this.setup(queue);
    const wasRunning = this.device.rings.isRunning(queue);
    const base = wasRunning ? await this.device.rings.stop(queue) : setup.base;
    await this.#forgetTranslations();
    this.device.rings.forgetQueue(queue);
    setup.base = base;
    closeFd(setup.kickFd);
    setup.kickFd = -1;
    this.#updateState();
    return base;
  }

  /** Stops what runs, does something that rings must not see, and starts them again. */
  async withRingsStopped(change: () => Promise<void>): Promise<void> {
    const running = this.device.rings.queues();
    for (const queue of running) this.setup(queue).base = await this.device.rings.stop(queue);
    await change();
    for (const queue of running) await this.startWhenComplete(queue);
    this.#updateState();
  }

  /**
   * A front-end whose guest has stopped a ring may tell of no invalidation any more (QEMU listens
   * to the IOMMU only while its device runs): what is needed later is asked for again.
   */
  async #forgetTranslations(): Promise<void> {
    if (!this.isBehindIommu) return;
    this.iommu.flush();
    const everything = { iova: 0n, sizeBytes: 1n << 64n };
    await this.device.rings.changeIotlb({ type: 'invalidate', ...everything });
  }

  async reset(): Promise<void> {
    for (const [queue, setup] of this.#setups) {
      if (this.device.rings.isRunning(queue)) await this.device.rings.stop(queue);
      closeFd(setup.kickFd);
      setup.kickFd = -1;
      setup.isEnabled = false;
      setup.base = 0;
    }
    await this.device.rings.resetSettings();
    await this.#forgetTranslations();
    this.#updateState();
    this.#listener.onReset();
  }

  /** Tells the front-end that the configuration space changed, if it cares. */
  notifyConfigChange(): void {
    if (!hasFeature(this.protocolFeatures, ProtocolFeature.CONFIG)) return;
    this.#backend?.send(BackendRequest.CONFIG_CHANGE_MSG, new Uint8Array(0));
  }

  /** Raises the error descriptor of a ring, if the front-end gave one. */
  signalRingError(queue: number): void {
    this.device.rings.raise(this.#setups.get(queue)?.error ?? null);
  }

  async #receive(message: Message): Promise<void> {
    const { header } = message;
    const name = requestName(header.request);
    const isOfIommu = name === 'IOTLB_MSG';
    if (!isOfIommu) this.iommu.hold();
    try {
      if (name === undefined) throw new Refusal(`unknown request ${header.request}`);
      const request = admit(name, message, this.protocolFeatures);
      const reply = await request.handler(this, message);
      if (reply !== undefined) this.#reply(header.request, reply);
      else this.#acknowledge(message, 0n);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#listener.onRefusal(`${name ?? 'request'}: ${error.message}`);
      // Without an acknowledgement there is no other way to tell.
      if (!this.#acknowledge(message, 1n)) this.#connection.close(error.message);
    } finally {
      if (!isOfIommu) this.iommu.release();
      for (const fd of message.fds) c.close(fd); // whatever no handler took
    }
  }

  #reply(request: number, payload: Uint8Array): void {
    this.#connection.send(writeMessage(request, FLAG_REPLY, payload));
  }

  #acknowledge(message: Message, result: bigint): boolean {
    const isWanted = wantsAnswer(message.header, this.protocolFeatures);
    if (isWanted) this.#reply(message.header.request, writeU64(result));
    return isWanted;
  }

  #updateState(): void {
    if (this.#cycle.is('closed')) return;
    const isRunning = this.device.rings.queues().length > 0;
    if (this.#cycle.is('connected') && isRunning) this.#cycle.to('negotiated');
    if (isRunning) this.#cycle.to('running');
    else if (this.#cycle.is('running')) this.#cycle.to('negotiated');
    this.#listener.onStateChange();
  }

  async #tearDown(reason: string | null): Promise<void> {
    const { rings } = this.device;
    await everyStep(`end the session of ${this.device.name}`, [
      () => rings.stopAll(),
      () => rings.setMemory([]),
      () => rings.setBehindIommu(false),
      () => this.iommu.close(),
      () => this.#closeDescriptors(),
      () => this.#backend?.close(),
      () => this.#cycle.to('closed'),
      () => this.#listener.onClosed(reason),
    ]);
  }

  #closeDescriptors(): void {
    for (const region of this.memory.takeAll()) c.close(region.fd);
    for (const setup of this.#setups.values()) {
      closeFd(setup.kickFd);
      closeSignal(setup.call);
      closeSignal(setup.error);
    }
    this.#setups.clear();
  }
}
