import { RING_LAST_AVAIL, RING_STATE } from '../../layout/virtqueue.ts';
import { everyStep } from '../background.ts';
import type { GuestMemory, MemoryRegion } from '../memory/guest-memory.ts';
import type { IotlbChange } from '../memory/iotlb.ts';
import type { PeerSignal } from '../os/peer-signal.ts';
import type { Fabric, FunctionPlace } from '../processor/fabric.ts';
import { attachMessage, type FunctionView, type RingView } from '../processor/function-view.ts';
import type { Message, RingPins, RingRole } from '../processor/mailbox.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import { attachProblem, type RingProblem } from '../state/ring-problem.ts';
import { RING_STATE_NUMBERS, type RingState } from './life-cycle.ts';
import { createRing, liesInFile, type Ring, ringView, standsAtBeginning } from './ring.ts';
import type { RingDevice } from './ring-device.ts';
import { mappingsOf, takePlace } from './ring-place.ts';
import { writeRingRecord } from './ring-record.ts';
import {
  claimPins,
  createRingSetup,
  freePins,
  pinRing,
  type RingSetup,
  type TranslatePage,
} from './ring-setup.ts';

/** What the front-end has said about a ring, if anything. */
export type SetupOf = (queue: number) => RingSetup | undefined;

/** The rings that run or are set aside. Their setups are saved by the session. */
export interface RingSetState {
  regions: MemoryRegion[];
  isBehindIommu: boolean;
  rings: {
    queue: number;
    role: RingRole;
    features: bigint;
    pins: RingPins | null;
    isPlaced: boolean;
    fault: string | undefined;
    state: RingState;
  }[];
}

/**
 * The running rings of one device: attached to the processors and published by the device.
 *
 * A receive ring is attached to all processors, because any of them may have a frame for it. Any
 * other ring belongs to one processor, its owner. The desired state is recorded here first and
 * posted second, with no await in between. So if a processor dies, its replacement is brought up
 * from `view`.
 */
export class RingSet {
  readonly #number: number;
  readonly #ringBlock: RingBlock;
  readonly #processorOf: (queue: number) => number;
  readonly #fabric: Fabric;
  readonly #device: RingDevice;
  readonly #rings = new Map<number, Ring>();
  readonly raise = (signal: PeerSignal | null): void => this.#fabric.raiser.raise(signal);
  #regions: readonly MemoryRegion[] = [];
  #isBehindIommu = false;

  /** `processorOf`: the processor of a queue's pair, which never changes. */
  constructor(
    { number, ringBlock }: Pick<FunctionPlace, 'number' | 'ringBlock'>,
    processorOf: (queue: number) => number,
    fabric: Fabric,
    device: RingDevice,
  ) {
    this.#number = number;
    this.#ringBlock = ringBlock;
    this.#processorOf = processorOf;
    this.#fabric = fabric;
    this.#device = device;
  }

  state(queue: number): RingState {
    return this.#rings.get(queue)?.cycle.state ?? 'stopped';
  }

  /** Why a ring is faulted. */
  faultOf(queue: number): string | undefined {
    return this.#rings.get(queue)?.fault;
  }

  /** Whether a ring has started, even if it has faulted since. */
  isRunning(queue: number): boolean {
    return (this.#rings.get(queue)?.pins ?? null) !== null;
  }

  /** The queues whose rings run or are set aside. */
  queues(): number[] {
    return [...this.#rings.keys()].sort((a, b) => a - b);
  }

  /** Tells every processor the guest's memory regions. Afterwards no processor maps any others. */
  async setMemory(regions: readonly MemoryRegion[]): Promise<void> {
    this.#regions = [...regions];
    await this.#fabric.broadcast(this.#memoryMessage());
  }

  /** Sets whether the guest uses I/O virtual addresses. No ring may be running. */
  async setBehindIommu(isBehindIommu: boolean): Promise<void> {
    if (this.#isBehindIommu === isBehindIommu) return;
    this.#isBehindIommu = isBehindIommu;
    this.#fabric.shared.setBehindIommu(this.#number, isBehindIommu);
    await this.#fabric.broadcast(this.#memoryMessage());
  }

  /** Tells every processor about a translation change. Afterwards none uses what it replaced. */
  async changeIotlb(change: IotlbChange): Promise<void> {
    await this.#fabric.broadcast({ kind: 'change-iotlb', ...this.#names, change });
  }

  /** All known rings, running or set aside. */
  all(): Iterable<Ring> {
    return this.#rings.values();
  }

  role(queue: number): RingRole | null {
    return this.#rings.get(queue)?.role ?? null;
  }

  usesFile(fd: number): boolean {
    return [...this.#rings.values()].some((ring) => liesInFile(ring, fd));
  }

  /**
   * Starts a ring. Returns null, or why it cannot start: 'nowhere' if its parts are not in guest
   * memory or there is no room to pin them.
   */
  async start(
    queue: number,
    setup: RingSetup,
    memory: GuestMemory,
    features: bigint,
    translate?: TranslatePage,
  ): Promise<RingProblem | 'nowhere' | null> {
    const pins = pinRing(setup, memory, this.#fabric.pins, features, translate);
    if (pins === null) return 'nowhere';
    const ring = this.#note(queue, setup, features, pins);
    const problem = takePlace(pins, this.#fabric.mappings, 1 + this.#others(ring).length);
    if (problem !== null) {
      this.#rings.delete(queue);
      freePins(pins, this.#fabric.pins);
      return problem;
    }
    ring.cycle.to(setup.isEnabled ? 'enabled' : 'disabled');
    writeRingRecord(this.#fabric.shared, ring);
    this.#device.describe(ring);
    try {
      await this.#attach(ring);
    } catch (error) {
      // Some processors may have attached it. None may keep anything of it.
      this.#rings.delete(queue);
      ring.cycle.to('stopped');
      await this.#detach(ring, pins, false);
      return attachProblem(error as Error);
    }
    await this.#device.publish();
    // A NIC that served this ring earlier may have owed its driver an interrupt.
    this.raise(setup.call);
    return null;
  }

  #note(queue: number, setup: RingSetup, features: bigint, pins: RingPins | null): Ring {
    const role = this.#device.roleOf(queue, features);
    if (role === null) throw new Error(`assertion: queue ${queue} of no role`);
    const number = this.#ringBlock.first + this.#device.placeOf(queue, role);
    const ring = createRing(queue, number, { role, setup, features, pins });
    this.#rings.set(queue, ring);
    return ring;
  }

  async #attach(ring: Ring): Promise<void> {
    // The owner first and alone, because it reads the ring's position from guest memory.
    await this.#postAttach(this.#processorOf(ring.queue), ring);
    if (ring.cycle.is('faulted')) return;
    ring.isPlaced = true;
    const posts = this.#others(ring).map((processor) => this.#postAttach(processor, ring));
    if (standsAtBeginning(this.#fabric.shared, ring)) await this.#device.onFreshStart(ring);
    await Promise.all(posts);
  }

  async #postAttach(processor: number, ring: Ring): Promise<void> {
    const view = ringView(ring, this.#processorOf(ring.queue));
    const rings = { owner: this.#number, isBehindIommu: this.#isBehindIommu };
    const message = view && attachMessage(view, rings, processor);
    if (message !== null) await this.#fabric.post(processor, message);
  }

  /**
   * Records why a ring cannot start. It must not be running. Returns false if the reason is not
   * new.
   */
  setAside(queue: number, setup: RingSetup, features: bigint, reason: string): boolean {
    const isNews = this.#rings.get(queue)?.fault !== reason;
    const ring = this.#note(queue, setup, features, null);
    ring.cycle.to('faulted');
    ring.fault = reason;
    this.#fabric.shared.markFaulted(ring.number);
    return isNews;
  }

  /** Allows a ring that was set aside to start again. */
  forgive(queue: number): void {
    if (!this.isRunning(queue)) this.#rings.delete(queue);
  }

  /** Counts a fault that no processor has counted. */
  countFault(queue: number, fault: number): void {
    const number = this.#rings.get(queue)?.number;
    if (number !== undefined) this.#fabric.shared.countFault(number, fault);
  }

  /**
   * Stops a ring. Returns its position: the index of the next chain it would have taken.
   * `leavesNote`: there is no front-end to tell, so the position is noted in the ring itself if
   * possible.
   */
  async stop(queue: number, leavesNote = false): Promise<number> {
    const ring = this.#rings.get(queue);
    if (ring === undefined) return 0;
    this.#rings.delete(queue);
    ring.cycle.to('stopped');
    if (ring.pins === null) return ring.setup.base;
    await this.#detach(ring, ring.pins, leavesNote);
    return this.#fabric.shared.ringField(ring.number, RING_LAST_AVAIL);
  }

  /** Detaches a ring from all processors. The caller has already removed it from the list. */
  async #detach(ring: Ring, pins: RingPins, leavesNote: boolean): Promise<void> {
    const { number, queue } = ring;
    const message: Message = { kind: 'detach-ring', ring: number, leavesNote };
    const processors = [this.#processorOf(queue), ...this.#others(ring)];
    const steps = processors.map((processor) => () => this.#fabric.post(processor, message));
    await everyStep(`stop ring ${queue}`, [() => this.#device.publish(), ...steps]);
    this.#fabric.shared.setRingField(number, RING_STATE, RING_STATE_NUMBERS.stopped);
    freePins(pins, this.#fabric.pins);
    this.#fabric.mappings.give(this.#mappingsIn(pins, ring));
  }

  /** The front-end has gone. */
  async stopAll(): Promise<void> {
    for (const queue of this.queues()) await this.stop(queue, true);
  }

  async setEnabled(queue: number, isEnabled: boolean): Promise<void> {
    const ring = this.#rings.get(queue);
    if (ring === undefined || ring.cycle.is('faulted')) return;
    ring.cycle.to(isEnabled ? 'enabled' : 'disabled');
    const state = RING_STATE_NUMBERS[ring.cycle.state];
    this.#fabric.shared.setRingField(ring.number, RING_STATE, state);
    // Leave the switch before disabling, enter it after enabling: no frame meets a ring in between.
    if (!isEnabled) await this.#device.publish();
    await this.#fabric.broadcast({ kind: 'set-ring-state', ring: ring.number, state });
    if (isEnabled) await this.#device.publish();
  }

  /** Sets the descriptor for interrupts. Afterwards no processor raises the old one. */
  async setCall(queue: number, call: PeerSignal | null, old: PeerSignal | null): Promise<void> {
    const ring = this.#rings.get(queue);
    if (ring === undefined) return;
    await this.#fabric.broadcast({ kind: 'set-call', ring: ring.number, call });
    // Interrupts were lost while there was no descriptor, and the driver may wait for one of them.
    if (old === null) this.raise(call);
  }

  /** A processor reports that it stopped this ring. */
  async fault(queue: number, reason: string): Promise<void> {
    const ring = this.#rings.get(queue);
    if (ring === undefined || ring.cycle.is('faulted')) return;
    ring.cycle.to('faulted');
    ring.fault = reason;
    this.#fabric.shared.markFaulted(ring.number);
    await this.#device.publish();
    // The other processors have not noticed the fault themselves. They must leave the ring alone,
    // too.
    await this.#fabric.broadcast({
      kind: 'set-ring-state',
      ring: ring.number,
      state: RING_STATE_NUMBERS.stopped,
    });
  }

  size(queue: number): number {
    return this.#rings.get(queue)?.setup.size ?? 0;
  }

  /** What processors have to know about the rings and the memory that they are in. */
  view(): Omit<FunctionView, 'port' | 'translations' | 'wires'> {
    const rings = [...this.#rings.values()]
      .map((ring): RingView | null => ringView(ring, this.#processorOf(ring.queue)))
      .filter((ring) => ring !== null);
    const { owner, rings: ringBlock } = this.#names;
    const [regions, isBehindIommu] = [this.#regions, this.#isBehindIommu];
    return { owner, ringBlock, regions, isBehindIommu, rings };
  }

  save(): RingSetState {
    const rings = [...this.#rings.values()].map(
      ({ queue, role, features, pins, isPlaced, fault, cycle: { state } }) => {
        return { queue, role, features, pins, isPlaced, fault, state };
      },
    );
    const { regions, isBehindIommu } = this.view();
    return structuredClone({ regions: [...regions], isBehindIommu, rings });
  }

  /**
   * Restores an empty set. Call it before there are processors; they learn about the rings when
   * they start. A ring whose place is taken is set aside. `setupOf`: what the front-end had said
   * about a ring.
   */
  restore(saved: RingSetState, setupOf: SetupOf): void {
    const { regions, isBehindIommu, rings } = structuredClone(saved);
    this.#regions = regions;
    this.#isBehindIommu = isBehindIommu;
    for (const { queue, role, features, pins, isPlaced, fault, state } of rings) {
      const parts = { role, setup: setupOf(queue) ?? createRingSetup(), features };
      const isRoom = pins === null || this.#claim(queue, role, pins);
      const number = this.#ringBlock.first + this.#device.placeOf(queue, role);
      const ring = createRing(queue, number, { ...parts, pins: isRoom ? pins : null });
      ring.isPlaced = isPlaced;
      ring.cycle.to(isRoom ? state : 'faulted');
      if (fault !== undefined) ring.fault = fault;
      this.#rings.set(queue, ring);
      if (isRoom) continue;
      ring.fault = 'its place in the pins is taken';
      this.#fabric.shared.markFaulted(number);
    }
  }

  /** The rings now belong to another set, which is created from what this one saved. */
  handOver(): void {
    for (const { pins, queue, role } of this.#rings.values()) {
      if (pins !== null) this.#fabric.mappings.give(this.#mappingsIn(pins, { queue, role }));
    }
  }

  /** Mappings of this process that these pins take, in all processors that have the ring. */
  #mappingsIn(pins: RingPins, ring: Pick<Ring, 'queue' | 'role'>): number {
    return mappingsOf(pins) * (1 + this.#others(ring).length);
  }

  #claim(queue: number, role: RingRole, pins: RingPins): boolean {
    const { mappings, pins: allocator } = this.#fabric;
    const count = this.#mappingsIn(pins, { queue, role });
    if (!claimPins(pins, allocator)) return false;
    if (mappings.take(count)) return true;
    freePins(pins, allocator);
    return false;
  }

  async injectTrap(queue: number): Promise<boolean> {
    const ring = this.#rings.get(queue);
    if (ring === undefined || ring.pins === null) return false;
    const message: Message = { kind: 'inject-trap', ring: ring.number, pins: ring.pins };
    const owners = [this.#processorOf(queue), ...this.#others(ring)];
    const done = await Promise.all(owners.map((owner) => this.#fabric.post(owner, message)));
    return done.every((isDone) => isDone);
  }

  /** The processors, other than the owner, that the ring is attached to. */
  #others(ring: Pick<Ring, 'queue' | 'role'>): number[] {
    if (ring.role !== 'receive') return [];
    const all = Array.from({ length: this.#fabric.processorCount }, (_, index) => index);
    return all.filter((index) => index !== this.#processorOf(ring.queue));
  }

  get #names(): { owner: number; rings: RingBlock } {
    return { owner: this.#number, rings: this.#ringBlock };
  }

  #memoryMessage(): Message {
    const isBehindIommu = this.#isBehindIommu;
    return { kind: 'set-memory', ...this.#names, regions: this.#regions, isBehindIommu };
  }
}
