import { COUNTER_REFUSED } from '../../layout/counters.ts';
import {
  RECEIVE_BY_TABLE,
  VF_BEHIND_IOMMU,
  VF_RECEIVE_COUNT,
  VF_RECEIVE_QUEUES,
} from '../../layout/vf.ts';
import { PACKED_WRAP, RING_LAST_AVAIL, RING_STATE } from '../../layout/virtqueue.ts';
import { everyStep } from '../background.ts';
import { LifeCycle } from '../life-cycle.ts';
import type { GuestMemory, MemoryRegion } from '../memory/guest-memory.ts';
import type { IotlbChange } from '../memory/iotlb.ts';
import { isPinOf } from '../memory/pins.ts';
import type { Fabric } from '../nic/fabric.ts';
import type { PeerSignal } from '../os/peer-signal.ts';
import type { Command, RingPins, RingRole } from '../processor/commands.ts';
import { writeLink } from '../switch/vlan.ts';
import { ControlSettings } from './control-settings.ts';
import { writeFlowRecord } from './flow-record.ts';
import { RING_STATE_NUMBERS, RING_TRANSITIONS, type RingState } from './life-cycle.ts';
import { CONTROL_QUEUE, ringNumber } from './ring-number.ts';
import { type RingSettings, writeRingRecord, writeRingSettings } from './ring-record.ts';
import {
  freePins,
  isPackedRing,
  pinRing,
  type RingSetup,
  type TranslatePage,
} from './ring-setup.ts';

interface Ring {
  readonly queue: number;
  readonly number: number;
  readonly role: RingRole;
  readonly cycle: LifeCycle<RingState>;
  pins: RingPins | null;
  setup: RingSetup | null;
  readonly features: bigint;
}

/**
 * The rings of one VF as they run: attached to the processors, published to the switch.
 *
 * A transmit ring (odd) belongs to one processor, its owner, and so does the control queue; a
 * receive ring (even) is attached to all, since whoever has a frame for it delivers it. What the
 * control plane wants is noted here first and posted second, so that a processor that dies in
 * between is brought up to date by `reattach`.
 */
export class RingSet {
  readonly #vf: number;
  readonly #ownerOf: (queue: number) => number;
  readonly #fabric: Fabric;
  readonly #rings = new Map<number, Ring>();
  /** What the guest has set through its control queue. Outlives a lost connection, but no reset. */
  readonly settings = new ControlSettings();
  #regions: readonly MemoryRegion[] = [];
  #isBehindIommu = false;
  #isLinkUp = true;
  #coalesces = false;

  /** `ownerOf`: the processor that a queue's pair belongs to, always the same. */
  constructor(vf: number, ownerOf: (queue: number) => number, fabric: Fabric) {
    this.#vf = vf;
    this.#ownerOf = ownerOf;
    this.#fabric = fabric;
  }

  state(queue: number): RingState {
    return this.#rings.get(queue)?.cycle.state ?? 'stopped';
  }

  isRunning(queue: number): boolean {
    return this.state(queue) !== 'stopped';
  }

  queues(): number[] {
    return [...this.#rings.keys()].sort((a, b) => a - b);
  }

  /**
   * Tells every processor where the guest's memory lies. Afterwards nothing maps regions left out.
   */
  async setMemory(regions: readonly MemoryRegion[]): Promise<void> {
    this.#regions = [...regions];
    await this.#fabric.broadcast(this.#memoryCommand());
  }

  /** Whether what the guest names from now on are I/O virtual addresses. No ring runs meanwhile. */
  async setBehindIommu(isBehindIommu: boolean): Promise<void> {
    if (this.#isBehindIommu === isBehindIommu) return;
    this.#isBehindIommu = isBehindIommu;
    const { view } = this.#fabric.shared;
    const record = this.#fabric.shared.vfOffset(this.#vf);
    view.setUint32(record + VF_BEHIND_IOMMU, isBehindIommu ? 1 : 0, true);
    await this.#fabric.broadcast(this.#memoryCommand());
  }

  /** Tells every processor of a translation. Afterwards none uses what was there before. */
  async changeIotlb(change: IotlbChange): Promise<void> {
    await this.#fabric.broadcast({ kind: 'change-iotlb', vf: this.#vf, change });
  }

  /** The virtqueue number of the control queue, if that runs. */
  get controlQueue(): number | null {
    const control = [...this.#rings.values()].find(({ role }) => role === 'control');
    return control?.queue ?? null;
  }

  role(queue: number): RingRole | null {
    return this.#rings.get(queue)?.role ?? null;
  }

  /** Brings the rings in line with `settings`, which its guest has changed. */
  async applySettings(): Promise<void> {
    for (const ring of this.#rings.values()) {
      writeRingSettings(this.#fabric.shared, ring, this.#ringSettings);
    }
    const { view } = this.#fabric.shared;
    writeFlowRecord(view, this.#fabric.shared.flowOffset(this.#vf), this.settings);
    await this.#publish();
  }

  /** The device was reset, and all that its guest had set is void. */
  async resetSettings(): Promise<void> {
    this.settings.reset();
    await this.applySettings();
  }

  /** A front-end has stopped a queue for good, or its driver has reset it. */
  forgetQueue(queue: number): void {
    this.settings.forgetQueue(queue);
  }

  countRefused(): void {
    this.#fabric.shared.count(ringNumber(this.#vf, CONTROL_QUEUE), COUNTER_REFUSED);
  }

  usesFile(fd: number): boolean {
    return [...this.#rings.values()].some(
      (ring) => ring.pins !== null && Object.values(ring.pins).some((pin) => isPinOf(pin, fd)),
    );
  }

  /** Starts a ring. False if its parts do not lie in the guest's memory. */
  async start(
    queue: number,
    setup: RingSetup,
    memory: GuestMemory,
    features: bigint,
    translate?: TranslatePage,
  ): Promise<boolean> {
    const pins = pinRing(setup, memory, this.#fabric.pins, features, translate);
    if (pins === null) return false;
    const role = setup.isControl ? 'control' : queue % 2 === 1 ? 'transmit' : 'receive';
    const number = ringNumber(this.#vf, setup.isControl ? CONTROL_QUEUE : queue);
    const cycle = new LifeCycle(`ring ${queue}`, RING_TRANSITIONS, 'stopped');
    const ring: Ring = { queue, number, role, cycle, pins, setup, features };
    this.#rings.set(queue, ring);
    cycle.to(setup.isEnabled ? 'enabled' : 'disabled');
    writeRingRecord(this.#fabric.shared, ring, this.#ringSettings);
    // The owner first, alone: it reads in the guest's memory where the ring stands.
    await this.#fabric.post(this.#ownerOf(queue), this.#attachCommand(ring, true));
    if (role === 'control' && this.#standsAtBeginning(ring)) await this.resetSettings();
    for (const processor of this.#others(ring)) {
      await this.#fabric.post(processor, this.#attachCommand(ring, false));
    }
    await this.#publish();
    // A NIC that served this ring before may have owed its driver an interrupt.
    this.#fabric.raiser.raise(setup.call);
    return true;
  }

  /**
   * Stops a ring; returns where it stands: the index of the next chain it would have taken.
   * `parks`: nobody is there to be told, so it is noted in the ring itself as far as that is
   * possible.
   */
  async stop(queue: number, parks = false): Promise<number> {
    const ring = this.#rings.get(queue);
    if (ring === undefined || ring.pins === null) return 0;
    this.#rings.delete(queue);
    ring.cycle.to('stopped');
    const { number, pins } = ring;
    const command: Command = { kind: 'detach-ring', ring: number, pins, parks };
    const detach = (processor: number) => () => this.#fabric.post(processor, command);
    const processors = [this.#ownerOf(queue), ...this.#others(ring)];
    await everyStep(`stop ring ${queue}`, [() => this.#publish(), ...processors.map(detach)]);
    this.#fabric.shared.setRingField(ring.number, RING_STATE, RING_STATE_NUMBERS.stopped);
    freePins(ring.pins, this.#fabric.pins);
    return this.#fabric.shared.ringField(ring.number, RING_LAST_AVAIL);
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
    // Out of the switch before it is disabled, into it after it is enabled: no frame meets it
    // half-way.
    if (!isEnabled) await this.#publish();
    await this.#fabric.broadcast({ kind: 'set-ring-state', ring: ring.number, state });
    if (isEnabled) await this.#publish();
  }

  /** A port whose link is down has no receive queue, however many run. */
  async setLink(isUp: boolean): Promise<void> {
    const { view } = this.#fabric.shared;
    writeLink(view, this.#fabric.shared.vfOffset(this.#vf), isUp);
    this.#isLinkUp = isUp;
    await this.#publish();
  }

  /** Whether frames for this port are joined (GRO), where its guest takes super-frames. */
  setCoalescing(coalesces: boolean): void {
    this.#coalesces = coalesces;
    for (const ring of this.#rings.values()) {
      writeRingSettings(this.#fabric.shared, ring, this.#ringSettings);
    }
  }

  /** Names the descriptor for interrupts. Afterwards no processor raises the old one. */
  async setCall(queue: number, call: PeerSignal | null, old: PeerSignal | null): Promise<void> {
    const ring = this.#rings.get(queue);
    if (ring === undefined) return;
    await this.#fabric.broadcast({ kind: 'set-call', ring: ring.number, call });
    // While there was none, interrupts fell, and the driver may wait for one of them.
    if (old === null) this.#fabric.raiser.raise(call);
  }

  raise(signal: PeerSignal | null): void {
    this.#fabric.raiser.raise(signal);
  }

  /** A processor reports that it stopped this ring. */
  async fault(queue: number): Promise<void> {
    const ring = this.#rings.get(queue);
    if (ring === undefined || ring.cycle.is('faulted')) return;
    ring.cycle.to('faulted');
    const state = RING_STATE_NUMBERS.faulted;
    this.#fabric.shared.setRingField(ring.number, RING_STATE, state);
    await this.#publish();
    // The processors that did not find it out themselves leave it alone from now on.
    await this.#fabric.broadcast({
      kind: 'set-ring-state',
      ring: ring.number,
      state: RING_STATE_NUMBERS.stopped,
    });
  }

  size(queue: number): number {
    return this.#rings.get(queue)?.setup?.size ?? 0;
  }

  /**
   * Brings a new processor up to date: memory, receive rings and the port first; transmit rings in
   * a second round, when all VFs can receive again. Rings that a fault stopped stay away.
   */
  async reattach(processor: number, direction: 'rx' | 'tx'): Promise<void> {
    if (direction === 'rx' && this.#regions.length > 0) {
      await this.#fabric.post(processor, this.#memoryCommand());
    }
    for (const ring of this.#rings.values()) {
      if ((ring.role === 'receive') !== (direction === 'rx')) continue;
      const isHere = ring.role === 'receive' || processor === this.#ownerOf(ring.queue);
      if (!isHere || ring.cycle.is('faulted')) continue;
      // A transmit ring has one user, so its guest's used index is where it stands. A receive ring
      // may be in use by the other processors right now: its shared record is.
      // A packed ring has no index to read: its record is all there is.
      const resumes = ring.role !== 'receive' && !isPackedRing(ring.features);
      await this.#fabric.post(processor, this.#attachCommand(ring, resumes));
    }
    if (direction === 'rx') await this.#fabric.post(processor, this.#portCommand());
  }

  async injectTrap(queue: number): Promise<boolean> {
    const ring = this.#rings.get(queue);
    if (ring === undefined || ring.pins === null) return false;
    const command: Command = { kind: 'inject-trap', ring: ring.number, pins: ring.pins };
    const others = this.#others(ring).map((processor) => this.#fabric.post(processor, command));
    await Promise.all(others);
    return this.#fabric.post(this.#ownerOf(queue), command);
  }

  /** The processors beside the owner that the ring is attached to. */
  #others(ring: Ring): number[] {
    if (ring.role !== 'receive') return [];
    const all = Array.from({ length: this.#fabric.processorCount }, (_, index) => index);
    return all.filter((index) => index !== this.#ownerOf(ring.queue));
  }

  get #ringSettings(): RingSettings {
    return { guest: this.settings, coalesces: this.#coalesces };
  }

  /** The driver has given it nothing yet: whatever was set before, was set by another. */
  #standsAtBeginning(ring: Ring): boolean {
    const place = this.#fabric.shared.ringField(ring.number, RING_LAST_AVAIL);
    return place === (isPackedRing(ring.features) ? PACKED_WRAP : 0);
  }

  #attachCommand(ring: Ring, resumesFromUsed: boolean): Command {
    if (ring.pins === null || ring.setup === null) throw new Error('assertion: ring without pins');
    return {
      kind: 'attach-ring',
      ring: ring.number,
      pins: ring.pins,
      state: RING_STATE_NUMBERS[ring.cycle.state],
      role: ring.role,
      // Whoever delivers: the owner may sleep meanwhile.
      looksAhead: this.#isBehindIommu && ring.role === 'receive',
      resumesFromUsed,
      kickFd: ring.setup.kickFd,
      call: ring.setup.call,
    };
  }

  #memoryCommand(): Command {
    const isBehindIommu = this.#isBehindIommu;
    return { kind: 'set-memory', vf: this.#vf, regions: this.#regions, isBehindIommu };
  }

  #receiveQueues(): number[] {
    if (!this.#isLinkUp) return [];
    // Without a control queue it is the front-end that enables those that the guest uses.
    const pairs = this.controlQueue === null ? this.#rings.size : this.settings.queuePairs;
    return [...this.#rings.values()]
      .filter(({ role, queue, cycle }) => {
        return role === 'receive' && cycle.is('enabled') && queue < 2 * pairs;
      })
      .map(({ queue }) => queue)
      .sort((a, b) => a - b);
  }

  #receiveCount(queues: readonly number[]): number {
    const hasTable = this.settings.table !== null && this.controlQueue !== null;
    return hasTable && queues.length > 0 ? RECEIVE_BY_TABLE : queues.length;
  }

  #portCommand(): Command {
    return { kind: 'set-port', vf: this.#vf, isUp: this.#receiveQueues().length > 0 };
  }

  /** Tells the switch which receive queues take frames. */
  async #publish(): Promise<void> {
    const { view } = this.#fabric.shared;
    const record = this.#fabric.shared.vfOffset(this.#vf);
    const queues = this.#receiveQueues();
    // Never more counted than listed: the count shrinks before the list changes and grows after.
    const before = view.getUint32(record + VF_RECEIVE_COUNT, true);
    view.setUint32(record + VF_RECEIVE_COUNT, Math.min(before, queues.length), true);
    queues.forEach((queue, index) => {
      view.setUint8(record + VF_RECEIVE_QUEUES + index, queue);
    });
    view.setUint32(record + VF_RECEIVE_COUNT, this.#receiveCount(queues), true);
    await this.#fabric.broadcast(this.#portCommand());
  }
}
