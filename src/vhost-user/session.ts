import { IOTLB_READ, IOTLB_WRITE } from '../../layout/memory.ts';
import { VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_ACCESS_PLATFORM } from '../../layout/virtio.ts';
import { RING_FAULT_NONE } from '../../layout/virtqueue.ts';
import { everyStep } from '../background.ts';
import { LifeCycle } from '../life-cycle.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { closePeerFd, closePeerFds } from '../os/closer.ts';
import type { Poller } from '../os/poller.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import { hasFeature } from '../virtqueue/features.ts';
import {
  closeDescriptors,
  createRingSetup,
  descriptorsOf,
  type RingSetup,
  ringParts,
  setupProblem,
  type TranslatePage,
} from '../virtqueue/ring-setup.ts';
import { BackendChannel } from './backend-channel.ts';
import type { Device } from './device.ts';
import { Iommu } from './iommu.ts';
import { BackendRequest, ProtocolFeature } from './message.ts';
import { placeProblem } from './not-shared.ts';
import { Refusal } from './refusal.ts';
import { askForParts } from './ring-translations.ts';
import {
  type SavedSession,
  SESSION_TRANSITIONS,
  type SessionListener,
  type SessionState,
} from './session-state.ts';

/**
 * What a front-end has said to a device: what it negotiated, its memory, and how its rings are set
 * up.
 */
export class Session {
  readonly device: Device;
  readonly memory: GuestMemory;
  features = 0n;
  protocolFeatures = 0n;
  status = 0;
  /** The rings that the front-end has named. */
  readonly knownQueues = new Set<number>();
  wasAsked = false; // what the device offers
  readonly iommu: Iommu;
  readonly #poller: Poller;
  #backend: BackendChannel | null = null;
  readonly #cycle = new LifeCycle<SessionState>('session', SESSION_TRANSITIONS, 'connected');
  readonly #listener: SessionListener;
  readonly #setups = new Map<number, RingSetup>();
  #work: Promise<void> = Promise.resolve();
  #isProtocolKnown = false;

  constructor(poller: Poller, device: Device, listener: SessionListener) {
    this.device = device;
    this.memory = new GuestMemory(() => device.allowUnsealedMemory);
    this.#listener = listener;
    this.#poller = poller;
    this.iommu = new Iommu(this.memory, {
      publish: (change) => device.rings.changeIotlb(change),
      onDenied: (iova) => listener.onUntranslatable(iova),
    });
  }

  /** One piece of work at a time: requests, and what the NIC itself wants of the rings. */
  inTurn(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work, work);
    return this.#work;
  }

  /** Resolves when all work so far is done. */
  settled(): Promise<void> {
    return this.#work;
  }

  /** The connection has ended: after the request in hand, all is taken down. */
  end(reason: string | null): void {
    const tearDown = (): Promise<void> => this.#tearDown(reason);
    this.#work = this.#work.then(tearDown, tearDown);
  }

  get state(): SessionState {
    return this.#cycle.state;
  }

  /** Descriptors that the front-end has left with us. */
  get descriptorCount(): number {
    return this.memory.regions.length + descriptorsOf(this.#setups.values());
  }

  /** The set-up of a ring; refuses a number beyond what the device has. */
  setup(queue: number): RingSetup {
    let setup = this.#setups.get(queue);
    if (setup === undefined) {
      this.#checkQueue(queue);
      setup = createRingSetup();
      this.#setups.set(queue, setup);
      this.knownQueues.add(queue);
    }
    return setup;
  }

  save(): SavedSession {
    const { state, features, protocolFeatures, status, wasAsked } = this;
    return structuredClone({
      ...{ state, features, protocolFeatures, status, wasAsked },
      isProtocolKnown: this.#isProtocolKnown,
      knownQueues: [...this.knownQueues],
      setups: [...this.#setups],
      memory: this.memory.save(),
      iommu: this.iommu.save(),
      backend: this.#backend?.save() ?? null,
    });
  }

  /** Of a session that has just begun. The rings are restored by their owner. */
  restore(saved: SavedSession): void {
    const { features, protocolFeatures, status, wasAsked, setups, backend } =
      structuredClone(saved);
    Object.assign(this, { features, protocolFeatures, status, wasAsked });
    this.#isProtocolKnown = saved.isProtocolKnown;
    for (const queue of saved.knownQueues) this.knownQueues.add(queue);
    for (const [queue, setup] of setups) this.#setups.set(queue, setup);
    this.memory.restore(saved.memory);
    this.#backend = backend && new BackendChannel(backend.fd, this.#poller);
    const channel = this.#backend && backend && { channel: this.#backend, state: backend };
    this.iommu.restore(saved.iommu, channel);
    if (saved.state === 'connected') return;
    this.#cycle.to('negotiated');
    this.#cycle.to(saved.state);
  }

  /** Another one goes on with what was said. This one asks its front-end for nothing more. */
  handOver(): void {
    this.iommu.handOver();
    this.#backend?.handOver();
  }

  knownSetup(queue: number): RingSetup | undefined {
    return this.#setups.get(queue);
  }

  #checkQueue(queue: number): void {
    if (this.device.roleOf(queue, this.features) !== null) return;
    throw new Refusal(`ring ${queue}, which the device does not have`);
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
   * Whether this front-end is known to serve the configuration space itself. QEMU's netdev asks for
   * our features once more after it has said so, and would hand RSS on to its guest.
   */
  get keepsConfigSpace(): boolean {
    return this.#isProtocolKnown && !hasFeature(this.protocolFeatures, ProtocolFeature.CONFIG);
  }

  async #change(change: () => void): Promise<void> {
    const before = this.isBehindIommu;
    change();
    const { isBehindIommu } = this;
    if (isBehindIommu === before) return;
    // What an address means has changed, and with it the meaning of all that was named so far.
    await this.withRingsStopped(() => {
      this.iommu.flush();
      return this.device.rings.setBehindIommu(isBehindIommu);
    });
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

  /**
   * Starts a ring as soon as everything about it is known. What can be seen to be wrong before is
   * said at once: the ring is set aside until the front-end mends it.
   */
  async startWhenComplete(queue: number): Promise<void> {
    const setup = this.setup(queue);
    if (this.device.rings.isRunning(queue)) return;
    const isComplete = setup.size > 0 && setup.addresses !== null && setup.kickFd >= 0;
    const general = isComplete ? this.device.startProblem : null;
    const problem = setupProblem(setup, this.features) ?? general;
    if (problem !== null) {
      // Before the features are known, some of this may yet become right.
      if (isComplete || !this.#cycle.is('connected')) this.#setAside(queue, problem);
      return;
    }
    if (this.device.rings.state(queue) === 'faulted') {
      this.device.rings.forgive(queue);
      this.#updateState();
    }
    if (!isComplete || this.memory.regions.length === 0) return;
    await this.#start(queue, setup);
  }

  /** After a word about a ring that starts none by itself: it may set it aside, or mend it. */
  async review(queue: number): Promise<void> {
    const wasAside = this.device.rings.state(queue) === 'faulted';
    const isWrong = setupProblem(this.setup(queue), this.features) !== null;
    if (wasAside || isWrong) await this.startWhenComplete(queue);
  }

  async #start(queue: number, setup: RingSetup): Promise<void> {
    this.#checkQueue(queue);
    // Without protocol features there is no SET_VRING_ENABLE: rings begin enabled.
    if (!hasFeature(this.features, VHOST_USER_F_PROTOCOL_FEATURES)) setup.isEnabled = true;
    const translate = this.isBehindIommu ? this.#translate : undefined;
    // Its addresses are asked for; it starts when the last of them is known.
    const parts = ringParts(setup, this.features);
    if (translate !== undefined && !askForParts(this.iommu, parts)) return;
    const { rings } = this.device;
    const problem = await rings.start(queue, setup, this.memory, this.features, translate);
    if (problem === 'nowhere') {
      throw new Refusal(`ring ${queue} ${placeProblem(parts, this.memory, this.isBehindIommu)}`);
    }
    if (problem === null) this.#updateState();
    else this.#setAside(queue, problem);
  }

  /** A ring cannot start: the others, and the connection, go on. */
  #setAside(queue: number, { fault, reason }: RingProblem): void {
    const { rings } = this.device;
    const setup = this.setup(queue);
    this.#checkQueue(queue);
    if (!rings.setAside(queue, setup, this.features, reason)) return;
    this.#updateState();
    if (fault === RING_FAULT_NONE) return; // with all others, which was said once
    rings.countFault(queue, fault);
    this.#listener.onRingFault(queue, reason);
  }

  /** Starts whatever is complete by now. */
  async startComplete(): Promise<void> {
    let refusal: Refusal | null = null;
    for (const queue of this.#setups.keys()) {
      // Named under other features, which had such a queue.
      if (this.device.roleOf(queue, this.features) === null) continue;
      try {
        await this.startWhenComplete(queue);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refusal ??= error; // the others start all the same
      }
    }
    if (refusal !== null) throw refusal;
  }

  /** The same where no request waits for an answer: what cannot be is told to the operator. */
  async startAgain(): Promise<void> {
    try {
      await this.startComplete();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#listener.onRefusal(error.message);
    }
  }

  /** Stops the rings with a part in a range of addresses; they start again when those are back. */
  async stopRingsWithin({ iova, sizeBytes }: { iova: bigint; sizeBytes: bigint }): Promise<void> {
    const end = iova + sizeBytes;
    const isInside = (part: { address: bigint; lengthBytes: number }) =>
      sizeBytes === 0n || (part.address < end && part.address + BigInt(part.lengthBytes) > iova);
    for (const queue of this.#runningQueues()) {
      const setup = this.setup(queue);
      if (!ringParts(setup, this.features).some(isInside)) continue;
      setup.base = await this.device.rings.stop(queue);
    }
    this.#updateState();
  }

  readonly #translate: TranslatePage = (iova, isWritten) =>
    this.iommu.lookUp(iova, isWritten ? IOTLB_WRITE : IOTLB_READ);

  /** Stops a ring and forgets its kick; returns where it stands. */
  async stopRing(queue: number): Promise<number> {
    const setup = this.setup(queue);
    const isKnown = this.device.rings.state(queue) !== 'stopped';
    const base = isKnown ? await this.device.rings.stop(queue) : setup.base;
    await this.#forgetTranslations();
    this.device.forgetQueue(queue);
    setup.base = base;
    closePeerFd(setup.kickFd);
    setup.kickFd = -1;
    this.#updateState();
    return base;
  }

  /** Stops what runs, does something that rings must not see, and starts them again. */
  async withRingsStopped(change: () => Promise<void>): Promise<void> {
    const running = this.#runningQueues();
    for (const queue of running) this.setup(queue).base = await this.device.rings.stop(queue);
    await change();
    for (const queue of running) await this.startWhenComplete(queue);
    this.#updateState();
  }

  #runningQueues(): number[] {
    return this.device.rings.queues().filter((queue) => this.device.rings.isRunning(queue));
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
      if (this.device.rings.state(queue) !== 'stopped') await this.device.rings.stop(queue);
      closePeerFd(setup.kickFd);
      setup.kickFd = -1;
      setup.isEnabled = false;
      setup.base = 0;
    }
    await this.device.reset();
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

  #updateState(): void {
    if (this.#cycle.is('closed')) return;
    const isRunning = this.#runningQueues().length > 0;
    if (this.#cycle.is('connected') && isRunning) this.#cycle.to('negotiated');
    if (isRunning) this.#cycle.to('running');
    else if (this.#cycle.is('running')) this.#cycle.to('negotiated');
    this.#listener.onStateChange();
  }

  async #tearDown(reason: string | null): Promise<void> {
    const { rings } = this.device;
    await everyStep(`end the session of ${this.device.name}`, [
      () => rings.stopAll(),
      () => this.iommu.close(), // first noted, then told: with their memory translations are void
      () => rings.setMemory([]),
      () => rings.setBehindIommu(false),
      () => closePeerFds(this.memory.takeAll().map(({ fd }) => fd)),
      () => [...this.#setups.values()].forEach(closeDescriptors),
      () => this.#setups.clear(),
      () => this.#backend?.close(),
      () => this.#cycle.to('closed'),
      () => this.#listener.onClosed(reason),
    ]);
  }
}
