import { COUNTER_REFUSED } from '../../../layout/counters.ts';
import { CONTROL_QUEUE } from '../../../layout/limits.ts';
import { RECEIVE_BY_TABLE } from '../../../layout/port.ts';
import type { Fabric, PortPlace } from '../../processor/fabric.ts';
import type { FunctionView } from '../../processor/function-view.ts';
import type { Message, RingRole } from '../../processor/mailbox.ts';
import { writeFlowRecord } from '../../state/flow-record.ts';
import { writeLink } from '../../state/vlan.ts';
import type { Ring } from '../../virtqueue/ring.ts';
import type { RingDevice } from '../../virtqueue/ring-device.ts';
import { RingSet, type RingSetState, type SetupOf } from '../../virtqueue/ring-set.ts';
import { ControlSettings, type ControlSettingsState } from './control-settings.ts';
import { enabledReceiveQueues, writeReceiveQueues } from './receive-queues.ts';
import { type NetRingSettings, writeNetRing } from './ring-features.ts';

interface QueueRules {
  /** The processor that a queue's pair belongs to, always the same. */
  processorOf: (queue: number) => number;
  roleOf: (queue: number, features: bigint) => RingRole | null;
}

export interface NetPortState {
  mtu: number;
  isLinkUp: boolean;
  hasGro: boolean;
  settings: ControlSettingsState;
  rings: RingSetState;
}

/**
 * A port of the switch and its rings: which receive queues take frames, how flows are spread over
 * them, whether the link is up, and what a guest has set through its control queue.
 */
export class NetPort implements RingDevice {
  readonly rings: RingSet;
  readonly roleOf: QueueRules['roleOf'];
  /** What the guest has set through its control queue. Outlives a lost connection, but no reset. */
  readonly settings = new ControlSettings();
  /** What the front-end tells its guest, for the rings that start from now on. */
  mtu = 0;
  readonly #place: PortPlace;
  readonly #fabric: Fabric;
  #isLinkUp = true;
  #hasGro = false;

  constructor(place: PortPlace, { processorOf, roleOf }: QueueRules, fabric: Fabric) {
    this.#place = place;
    this.#fabric = fabric;
    this.roleOf = roleOf;
    this.rings = new RingSet(place, processorOf, fabric, this);
  }

  /** Takes its place in the switch, which begins from nothing. */
  open(): void {
    this.#fabric.shared.openPort(this.#place.port, this.#place.ringBlock.first);
  }

  placeOf(queue: number, role: RingRole): number {
    return role === 'control' ? CONTROL_QUEUE : queue;
  }

  /** A port whose link is down has no receive queue, however many run. */
  async setLink(isUp: boolean): Promise<void> {
    this.#writeLink(isUp);
    await this.publish();
  }

  #writeLink(isUp: boolean): void {
    const { view } = this.#fabric.shared;
    writeLink(view, this.#fabric.shared.portOffset(this.#place.port), isUp);
    this.#isLinkUp = isUp;
  }

  /** Whether frames for this port are joined, where its guest takes super-frames. */
  setGro(hasGro: boolean): void {
    this.#hasGro = hasGro;
    this.#describeAll();
  }

  /** Brings the rings in line with `settings`, which its guest has changed. */
  async applySettings(): Promise<void> {
    this.#describeAll();
    const { view } = this.#fabric.shared;
    writeFlowRecord(view, this.#fabric.shared.flowOffset(this.#place.port), this.settings);
    await this.publish();
  }

  /** The device was reset, and all that its guest had set is void. */
  async resetSettings(): Promise<void> {
    this.settings.reset();
    await this.applySettings();
  }

  countRefused(): void {
    const control = this.#place.ringBlock.first + CONTROL_QUEUE;
    this.#fabric.shared.count(control, COUNTER_REFUSED);
  }

  /** The virtqueue number of the control queue, if that runs. */
  get controlQueue(): number | null {
    const control = [...this.rings.all()].find(({ role }) => role === 'control');
    return control === undefined || control.pins === null ? null : control.queue;
  }

  describe(ring: Ring): void {
    writeNetRing(this.#fabric.shared, ring, this.#ringSettings);
  }

  /** Whatever was set through a control queue before was set by another driver. */
  async onFreshStart({ role }: Ring): Promise<void> {
    if (role === 'control') await this.resetSettings();
  }

  save(): NetPortState {
    return {
      mtu: this.mtu,
      isLinkUp: this.#isLinkUp,
      hasGro: this.#hasGro,
      settings: this.settings.save(),
      rings: this.rings.save(),
    };
  }

  /**
   * In place of `open`. The records of the port and of its rings are in the shared state already;
   * what of them cannot go on is taken out.
   */
  restore(state: NetPortState, setupOf: SetupOf): void {
    this.mtu = state.mtu;
    this.#hasGro = state.hasGro;
    this.settings.restore(state.settings);
    this.rings.restore(state.rings, setupOf);
    this.#writeLink(state.isLinkUp);
    this.#writeReceiveQueues();
  }

  /** What processors have to know of the port, as far as it knows that itself. */
  view(): FunctionView {
    const port = { port: this.#place.port, isUp: this.#receiveQueues().length > 0 };
    return { port, translations: [], wires: [], ...this.rings.view() };
  }

  /** Tells the switch which receive queues take frames. */
  async publish(): Promise<void> {
    this.#writeReceiveQueues();
    await this.#fabric.broadcast(this.#portMessage());
  }

  #writeReceiveQueues(): void {
    const { view } = this.#fabric.shared;
    const queues = this.#receiveQueues();
    const count = this.#receiveCount(queues);
    writeReceiveQueues(view, this.#fabric.shared.portOffset(this.#place.port), queues, count);
  }

  #describeAll(): void {
    for (const ring of this.rings.all()) this.describe(ring);
  }

  get #ringSettings(): NetRingSettings {
    return { guest: this.settings, hasGro: this.#hasGro, mtu: this.mtu };
  }

  #receiveQueues(): number[] {
    if (!this.#isLinkUp) return [];
    const rings = [...this.rings.all()];
    // Without a control queue it is the front-end that enables those that the guest uses.
    const pairs = this.controlQueue === null ? Infinity : this.settings.queuePairs;
    return enabledReceiveQueues(rings, pairs);
  }

  #receiveCount(queues: readonly number[]): number {
    const hasTable = this.settings.table !== null && this.controlQueue !== null;
    return hasTable && queues.length > 0 ? RECEIVE_BY_TABLE : queues.length;
  }

  #portMessage(): Message {
    return { kind: 'set-port', port: this.#place.port, isUp: this.#receiveQueues().length > 0 };
  }
}

/** virtio-net's numbering (5.1.2), where there is no control queue: even queues receive. */
export function pairRole(queue: number): RingRole {
  return queue % 2 === 1 ? 'transmit' : 'receive';
}
