import { VIRTIO_F_ACCESS_PLATFORM } from '../../layout/virtio.ts';
import { everyStep } from '../background.ts';
import { LifeCycle } from '../life-cycle.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { closePeerFds } from '../os/closer.ts';
import type { Poller } from '../os/poller.ts';
import { hasFeature } from '../virtqueue/features.ts';
import { BackendChannel } from './backend-channel.ts';
import type { Device } from './device.ts';
import { Iommu } from './iommu.ts';
import { BackendRequest, ProtocolFeature } from './message.ts';
import { SessionRings } from './session-rings.ts';
import {
  type SavedSession,
  SESSION_TRANSITIONS,
  type SessionListener,
  type SessionState,
} from './session-state.ts';

/**
 * What a front-end has told a device since it connected: the features it negotiated, its memory,
 * and the set-up of its rings.
 */
export class Session {
  readonly device: Device;
  readonly memory: GuestMemory;
  features = 0n;
  protocolFeatures = 0n;
  status = 0;
  /** The front-end has asked for the features on offer. */
  wasAsked = false;
  readonly iommu: Iommu;
  readonly rings: SessionRings;
  readonly #poller: Poller;
  #backend: BackendChannel | null = null;
  readonly #cycle = new LifeCycle<SessionState>('session', SESSION_TRANSITIONS, 'connected');
  readonly #listener: SessionListener;
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
    this.rings = new SessionRings(this, listener, () => this.#updateState());
  }

  /** Runs one piece of work at a time: the front-end's requests, and what the NIC does to rings. */
  inTurn(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work, work);
    return this.#work;
  }

  /** Resolves when all work so far is done. */
  settled(): Promise<void> {
    return this.#work;
  }

  /** The connection has ended: everything is torn down after the current request. */
  end(reason: string | null): void {
    const tearDown = (): Promise<void> => this.#tearDown(reason);
    this.#work = this.#work.then(tearDown, tearDown);
  }

  get state(): SessionState {
    return this.#cycle.state;
  }

  get isNegotiated(): boolean {
    return !this.#cycle.is('connected');
  }

  /** Descriptors that the front-end has sent and we hold. */
  get descriptorCount(): number {
    return this.memory.regions.length + this.rings.descriptorCount;
  }

  save(): SavedSession {
    const { state, features, protocolFeatures, status, wasAsked } = this;
    return structuredClone({
      ...{ state, features, protocolFeatures, status, wasAsked },
      isProtocolKnown: this.#isProtocolKnown,
      ...this.rings.save(),
      memory: this.memory.save(),
      iommu: this.iommu.save(),
      backend: this.#backend?.save() ?? null,
    });
  }

  /** Restores a new session. The device restores its running rings itself. */
  restore(saved: SavedSession): void {
    const { features, protocolFeatures, status, wasAsked, backend, ...rest } =
      structuredClone(saved);
    Object.assign(this, { features, protocolFeatures, status, wasAsked });
    this.#isProtocolKnown = saved.isProtocolKnown;
    this.rings.restore(rest);
    this.memory.restore(saved.memory);
    this.#backend = backend && new BackendChannel(backend.fd, this.#poller);
    const channel = this.#backend && backend && { channel: this.#backend, state: backend };
    this.iommu.restore(saved.iommu, channel);
    if (saved.state === 'connected') return;
    this.#cycle.to('negotiated');
    this.#cycle.to(saved.state);
  }

  /** Another session continues from the saved state. This one sends its front-end nothing more. */
  handOver(): void {
    this.iommu.handOver();
    this.#backend?.handOver();
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
   * Whether the front-end is known to serve the configuration space itself. QEMU's netdev asks for
   * our features again after it has said so, and would pass RSS on to its guest.
   */
  get keepsConfigSpace(): boolean {
    return this.#isProtocolKnown && !hasFeature(this.protocolFeatures, ProtocolFeature.CONFIG);
  }

  async #change(change: () => void): Promise<void> {
    const before = this.isBehindIommu;
    change();
    const { isBehindIommu } = this;
    if (isBehindIommu === before) return;
    // Addresses mean something else from now on, including those received before.
    await this.rings.withAllStopped(() => {
      this.iommu.flush();
      return this.device.rings.setBehindIommu(isBehindIommu);
    });
  }

  /**
   * Whether addresses are I/O virtual addresses. Translating them takes a channel to ask on: a
   * front-end that offers its guest ACCESS_PLATFORM without one means guest physical addresses.
   */
  get isBehindIommu(): boolean {
    const hasChannel = hasFeature(this.protocolFeatures, ProtocolFeature.BACKEND_REQ);
    return hasChannel && hasFeature(this.features, VIRTIO_F_ACCESS_PLATFORM);
  }

  /** Takes the channel for our own requests. Throws a SystemError if it cannot be polled. */
  connectBackend(fd: number): void {
    const channel = new BackendChannel(fd, this.#poller);
    this.#backend?.close();
    this.#backend = channel;
    const wantsReplies = hasFeature(this.protocolFeatures, ProtocolFeature.REPLY_ACK);
    this.iommu.connect(channel, wantsReplies);
  }

  async reset(): Promise<void> {
    await this.rings.reset();
    this.#listener.onReset();
  }

  /** Tells the front-end that the configuration space has changed, if it wants to know. */
  notifyConfigChange(): void {
    if (!hasFeature(this.protocolFeatures, ProtocolFeature.CONFIG)) return;
    this.#backend?.send(BackendRequest.CONFIG_CHANGE_MSG, new Uint8Array(0));
  }

  #updateState(): void {
    if (this.#cycle.is('closed')) return;
    const isRunning = this.rings.hasRunning;
    if (this.#cycle.is('connected') && isRunning) this.#cycle.to('negotiated');
    if (isRunning) this.#cycle.to('running');
    else if (this.#cycle.is('running')) this.#cycle.to('negotiated');
    this.#listener.onStateChange();
  }

  async #tearDown(reason: string | null): Promise<void> {
    const { rings } = this.device;
    await everyStep(`end the session of ${this.device.name}`, [
      () => rings.stopAll(),
      // Before the memory is released: translations refer to it.
      () => this.iommu.close(),
      () => rings.setMemory([]),
      () => rings.setBehindIommu(false),
      () => closePeerFds(this.memory.takeAll().map(({ fd }) => fd)),
      () => this.rings.closeAll(),
      () => this.#backend?.close(),
      () => this.#cycle.to('closed'),
      () => this.#listener.onClosed(reason),
    ]);
  }
}
