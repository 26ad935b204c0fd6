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
  /** The processor of a queue's pair, which never changes. */
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
  /**
   * What the guest has set through its control queue. Survives a lost connection, but not a reset.
   */
  readonly settings = new ControlSettings();
  /** The MTU that the front-end tells its guest. Applies to rings that start later. */
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

  /** Takes the port's place in the switch, with empty records. */
  open(): void {
    this.#fabric.shared.openPort(this.#place.port, this.#place.ringBlock.first);
  }

  placeOf(queue: number, role: RingRole): number {
    return role === 'control' ? CONTROL_QUEUE : queue;
  }

  /** While its link is down, a port has no receive queues in the switch, however many run. */
  async setLink(isUp: boolean): Promise<void> {
    this.#writeLink(isUp);
    await this.publish();
  }

  #writeLink(isUp: boolean): void {
    const { view } = this.#fabric.shared;
    writeLink(view, this.#fabric.shared.portOffset(this.#place.port), isUp);
    this.#isLinkUp = isUp;
  }

  /** Whether frames for this port are joined, if its guest accepts super-frames. */
  setGro(hasGro: boolean): void {
    this.#hasGro = hasGro;
    this.#describeAll();
  }

  /** Applies `settings` to the rings after the guest has changed them. */
  async applySettings(): Promise<void> {
    this.#describeAll();
    const { view } = this.#fabric.shared;
    writeFlowRecord(view, this.#fabric.shared.flowOffset(this.#place.port), this.settings);
    await this.publish();
  }

  /** The device was reset, so everything that its guest had set is void. */
  async resetSettings(): Promise<void> {
    this.settings.reset();
    await this.applySettings();
  }

  countRefused(): void {
    const control = this.#place.ringBlock.first + CONTROL_QUEUE;
    this.#fabric.shared.count(control, COUNTER_REFUSED);
  }

  /** The virtqueue number of the control queue, or null if it does not run. */
  get controlQueue(): number | null {
    const control = [...this.rings.all()].find(({ role }) => role === 'control');
    return control === undefined || control.pins === null ? null : control.queue;
  }

  describe(ring: Ring): void {
    writeNetRing(this.#fabric.shared, ring, this.#ringSettings);
  }

  /** A control queue that starts afresh has a new driver. Earlier settings were another's. */
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
   * Replaces `open`. The records of the port and its rings are in the shared state already; what
   * cannot continue is removed from them.
   */
  restore(state: NetPortState, setupOf: SetupOf): void {
    this.mtu = state.mtu;
    this.#hasGro = state.hasGro;
    this.settings.restore(state.settings);
    this.rings.restore(state.rings, setupOf);
    this.#writeLink(state.isLinkUp);
    this.#writeReceiveQueues();
  }

  /** What the port itself knows of what processors have to know. */
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
    // Without a control queue, the front-end enables exactly the queues that the guest uses.
    const pairs = this.controlQueue === null ? Infinity : this.settings.queuePairs;
    return enabledReceiveQueues(rings, pairs);
  }

  #receiveCount(queues: readonly number[]): number {
    const hasTable = this.settings.table !== null && this.controlQueue !== null;
    return hasTable && queues.length > 0 ? RECEIVE_BY_TABLE : queues.length;
  }

  #portMessage(): Message {
    const { port, number: owner } = this.#place;
    return { kind: 'set-port', port, owner, isUp: this.#receiveQueues().length > 0 };
  }
}

/** virtio-net's numbering without a control queue (5.1.2): even queues receive. */
export function pairRole(queue: number): RingRole {
  return queue % 2 === 1 ? 'transmit' : 'receive';
}
