import { IOTLB_READ, IOTLB_WRITE } from '../../layout/memory.ts';
import { VHOST_USER_F_PROTOCOL_FEATURES } from '../../layout/virtio.ts';
import { RING_FAULT_NONE } from '../../layout/virtqueue.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { closePeerFd } from '../os/closer.ts';
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
import type { Device } from './device.ts';
import type { Iommu } from './iommu.ts';
import { placeProblem } from './not-shared.ts';
import { Refusal } from './refusal.ts';
import { askForParts } from './ring-translations.ts';
import type { SessionListener } from './session-state.ts';

/** What the rings of a session need to know of it. */
export interface RingContext {
  readonly device: Device;
  readonly memory: GuestMemory;
  readonly iommu: Iommu;
  readonly features: bigint;
  readonly isBehindIommu: boolean;
  /** Whether the front-end has acknowledged features. */
  readonly isNegotiated: boolean;
}

/**
 * The rings of a session: how the front-end has set them up, and when they start and stop. One
 * call at a time; the session sees to that.
 */
export class SessionRings {
  /** Every ring that the front-end has named. */
  readonly known = new Set<number>();
  readonly #context: RingContext;
  readonly #listener: Pick<SessionListener, 'onRefusal' | 'onRingFault'>;
  /** Called after rings have started or stopped. */
  readonly #onChange: () => void;
  readonly #setups = new Map<number, RingSetup>();

  constructor(
    context: RingContext,
    listener: Pick<SessionListener, 'onRefusal' | 'onRingFault'>,
    onChange: () => void,
  ) {
    this.#context = context;
    this.#listener = listener;
    this.#onChange = onChange;
  }

  save(): { knownQueues: number[]; setups: [queue: number, setup: RingSetup][] } {
    return { knownQueues: [...this.known], setups: [...this.#setups] };
  }

  /** Restores the set-up only. The device restores its running rings itself. */
  restore({ knownQueues, setups }: ReturnType<SessionRings['save']>): void {
    for (const queue of knownQueues) this.known.add(queue);
    for (const [queue, setup] of setups) this.#setups.set(queue, setup);
  }

  /** Descriptors that came with ring requests and are still open. */
  get descriptorCount(): number {
    return descriptorsOf(this.#setups.values());
  }

  get hasRunning(): boolean {
    return this.#running().length > 0;
  }

  /** The set-up of a ring. Refuses a queue that the device does not have. */
  setup(queue: number): RingSetup {
    let setup = this.#setups.get(queue);
    if (setup === undefined) {
      this.#checkQueue(queue);
      setup = createRingSetup();
      this.#setups.set(queue, setup);
      this.known.add(queue);
    }
    return setup;
  }

  knownSetup(queue: number): RingSetup | undefined {
    return this.#setups.get(queue);
  }

  #checkQueue(queue: number): void {
    const { device, features } = this.#context;
    if (device.roleOf(queue, features) !== null) return;
    throw new Refusal(`ring ${queue}, which the device does not have`);
  }

  /**
   * Starts a ring once its set-up is complete. A set-up that cannot be right is reported
   * immediately: the ring is set aside until the front-end corrects it.
   */
  async startWhenComplete(queue: number): Promise<void> {
    const { device, features, isNegotiated, memory } = this.#context;
    const setup = this.setup(queue);
    if (device.rings.isRunning(queue)) return;
    const isComplete = setup.size > 0 && setup.addresses !== null && setup.kickFd >= 0;
    const general = isComplete ? device.startProblem : null;
    const problem = setupProblem(setup, features) ?? general;
    if (problem !== null) {
      // The features are not known yet, and may make this set-up a valid one.
      if (isComplete || isNegotiated) this.#setAside(queue, problem);
      return;
    }
    if (device.rings.state(queue) === 'faulted') {
      device.rings.forgive(queue);
      this.#onChange();
    }
    if (!isComplete || memory.regions.length === 0) return;
    await this.#start(queue, setup);
  }

  /** After a request that starts no ring: its new value may set the ring aside or correct it. */
  async review(queue: number): Promise<void> {
    const { device, features } = this.#context;
    const wasAside = device.rings.state(queue) === 'faulted';
    const isWrong = setupProblem(this.setup(queue), features) !== null;
    if (wasAside || isWrong) await this.startWhenComplete(queue);
  }

  async #start(queue: number, setup: RingSetup): Promise<void> {
    this.#checkQueue(queue);
    const { device, memory, iommu, features, isBehindIommu } = this.#context;
    // Without protocol features there is no SET_VRING_ENABLE, and rings start enabled.
    if (!hasFeature(features, VHOST_USER_F_PROTOCOL_FEATURES)) setup.isEnabled = true;
    const translate = isBehindIommu ? this.#translate : undefined;
    // Asks for the translations of the ring's addresses. It starts when the last one has arrived.
    const parts = ringParts(setup, features);
    if (translate !== undefined && !askForParts(iommu, parts)) return;
    const problem = await device.rings.start(queue, setup, memory, features, translate);
    if (problem === 'nowhere') {
      throw new Refusal(`ring ${queue} ${placeProblem(parts, memory, isBehindIommu)}`);
    }
    if (problem === null) this.#onChange();
    else this.#setAside(queue, problem);
  }

  readonly #translate: TranslatePage = (iova, isWritten) =>
    this.#context.iommu.lookUp(iova, isWritten ? IOTLB_WRITE : IOTLB_READ);

  /** This ring cannot start. The other rings and the connection are not affected. */
  #setAside(queue: number, { fault, reason }: RingProblem): void {
    const { device, features } = this.#context;
    const setup = this.setup(queue);
    this.#checkQueue(queue);
    if (!device.rings.setAside(queue, setup, features, reason)) return;
    this.#onChange();
    if (fault === RING_FAULT_NONE) return; // all rings are held, which was reported once
    device.rings.countFault(queue, fault);
    this.#listener.onRingFault(queue, reason);
  }

  /** Starts every ring whose set-up is complete. Throws the first refusal after trying them all. */
  async startComplete(): Promise<void> {
    const { device, features } = this.#context;
    let refusal: Refusal | null = null;
    for (const queue of this.#setups.keys()) {
      // Set up under earlier features, with which the device had such a queue.
      if (device.roleOf(queue, features) === null) continue;
      try {
        await this.startWhenComplete(queue);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refusal ??= error;
      }
    }
    if (refusal !== null) throw refusal;
  }

  /** Like `startComplete`, but no request waits for an answer: the operator is told instead. */
  async startAgain(): Promise<void> {
    try {
      await this.startComplete();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#listener.onRefusal(error.message);
    }
  }

  /**
   * Stops every ring that has a part in an address range (`sizeBytes` 0: in any). They start again
   * when the translations are back.
   */
  async stopWithin({ iova, sizeBytes }: { iova: bigint; sizeBytes: bigint }): Promise<void> {
    const end = iova + sizeBytes;
    const isInside = (part: { address: bigint; lengthBytes: number }) =>
      sizeBytes === 0n || (part.address < end && part.address + BigInt(part.lengthBytes) > iova);
    for (const queue of this.#running()) {
      const setup = this.setup(queue);
      if (!ringParts(setup, this.#context.features).some(isInside)) continue;
      setup.base = await this.#context.device.rings.stop(queue);
    }
    this.#onChange();
  }

  /** Stops a ring and drops its kick descriptor. Returns the ring's position. */
  async stop(queue: number): Promise<number> {
    const { device } = this.#context;
    const setup = this.setup(queue);
    const isKnown = device.rings.state(queue) !== 'stopped';
    const base = isKnown ? await device.rings.stop(queue) : setup.base;
    await this.#forgetTranslations();
    device.forgetQueue(queue);
    setup.base = base;
    closePeerFd(setup.kickFd);
    setup.kickFd = -1;
    this.#onChange();
    return base;
  }

  /** Stops all running rings, makes a change that no ring may see half-done, and restarts them. */
  async withAllStopped(change: () => Promise<void>): Promise<void> {
    const running = this.#running();
    for (const queue of running) {
      this.setup(queue).base = await this.#context.device.rings.stop(queue);
    }
    await change();
    for (const queue of running) await this.startWhenComplete(queue);
    this.#onChange();
  }

  #running(): number[] {
    const { rings } = this.#context.device;
    return rings.queues().filter((queue) => rings.isRunning(queue));
  }

  /**
   * After the guest has stopped a ring, the front-end may no longer send invalidations: QEMU
   * listens to the IOMMU only while its device runs. So all translations are asked for again.
   */
  async #forgetTranslations(): Promise<void> {
    const { device, iommu, isBehindIommu } = this.#context;
    if (!isBehindIommu) return;
    iommu.flush();
    const everything = { iova: 0n, sizeBytes: 1n << 64n };
    await device.rings.changeIotlb({ type: 'invalidate', ...everything });
  }

  /** The device is reset: rings are stopped and disabled, and start from position 0. */
  async reset(): Promise<void> {
    const { device } = this.#context;
    for (const [queue, setup] of this.#setups) {
      if (device.rings.state(queue) !== 'stopped') await device.rings.stop(queue);
      closePeerFd(setup.kickFd);
      setup.kickFd = -1;
      setup.isEnabled = false;
      setup.base = 0;
    }
    await device.reset();
    await this.#forgetTranslations();
    this.#onChange();
  }

  /** Raises the error descriptor of a ring, if the front-end gave one. */
  signalError(queue: number): void {
    this.#context.device.rings.raise(this.#setups.get(queue)?.error ?? null);
  }

  /** The session has ended, and all rings have stopped. */
  closeAll(): void {
    for (const setup of this.#setups.values()) closeDescriptors(setup);
    this.#setups.clear();
  }
}
