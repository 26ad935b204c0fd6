import { RING_FAULT_TRAP } from '../../../layout/virtqueue.ts';
import { everyStep, inBackground } from '../../background.ts';
import { LifeCycle } from '../../life-cycle.ts';
import { closePeerFd } from '../../os/closer.ts';
import type { Poller } from '../../os/poller.ts';
import { ClientEndpoint, type Endpoint, ServerEndpoint } from '../../os/unix-endpoint.ts';
import { peerProcess } from '../../os/unix-socket.ts';
import type { Fabric, SwitchPort, VfPlace } from '../../processor/fabric.ts';
import { forgetPort } from '../../processor/forget-port.ts';
import { changeVlans, initVlans } from '../../processor/port-vlans.ts';
import { readAddresses, readControl, readQueues, sumRx, sumTx } from '../../state/counters.ts';
import { addressNumber, macBytes, writeOwnAddress } from '../../state/mac-table.ts';
import { CONTROL_QUEUE } from '../../state/ring-number.ts';
import type { RingProblem } from '../../state/ring-problem.ts';
import { vlanOfOwnAddress, vlanText } from '../../state/vlan.ts';
import { featureNames } from '../../vhost-user/features.ts';
import { followHold } from '../../vhost-user/hold.ts';
import { NOT_SHARED } from '../../vhost-user/not-shared.ts';
import { Session } from '../../vhost-user/session.ts';
import type { SessionDevice } from '../../vhost-user/session-state.ts';
import { RingSet } from '../../virtqueue/ring-set.ts';
import type { LinkState, VfConfig } from './config.ts';
import { Grants } from './grants.ts';
import { GuestControl } from './guest-control.ts';
import { type Hold, Quarantine } from './quarantine.ts';
import { Refusals } from './refusals.ts';
import { ringInfos } from './ring-info.ts';
import type { VfEmit, VfInfo, VfState, VfStats, VmmAtHand } from './types.ts';
import { VF_TRANSITIONS } from './vf-state.ts';

function isLinkUp(state: LinkState, hasUplink: boolean): boolean {
  return state === 'enable' || (state === 'auto' && hasUplink);
}

/**
 * A virtual function: a socket where a VMM attaches, a port of the switch, and the rings between.
 *
 *     endpoint ─► session (one front-end at a time) ─► rings ─► processors
 */
export class Vf implements SessionDevice, SwitchPort {
  readonly number: number;
  readonly processor: number;
  readonly rings: RingSet;
  #config: VfConfig;
  readonly #fabric: Fabric;
  readonly #poller: Poller;
  readonly #emit: VfEmit;
  readonly #cycle: LifeCycle<VfState>;
  readonly #control: GuestControl;
  readonly quarantine = new Quarantine((hold) => this.#followHold(hold));
  readonly #grants: Grants;
  #endpoint: Endpoint | null = null;
  #session: Session | null = null;
  readonly #refusals = new Refusals();
  /** A front-end that came while the last one was still being torn down. */
  #waitingFd = -1;
  #lastFault: string | undefined;
  #isFaulted = false;
  #isOutsideTold = false;
  #hasUplink: boolean;
  readonly #descriptorQuota: () => number;
  #isLinkUp: boolean;
  #linkChange: Promise<void> = Promise.resolve();

  constructor(config: VfConfig, place: VfPlace, fabric: Fabric, poller: Poller, emit: VfEmit) {
    this.#config = config;
    this.number = place.number;
    this.processor = place.processor;
    this.#fabric = fabric;
    this.#poller = poller;
    this.#emit = emit;
    this.#hasUplink = place.hasUplink;
    this.#descriptorQuota = place.descriptorQuota;
    this.#isLinkUp = isLinkUp(config.linkState, place.hasUplink);
    this.rings = new RingSet(this.number, () => this.processor, fabric);
    this.#grants = new Grants(config);
    this.#control = new GuestControl(this.rings, () => this.queuePairs);
    this.rings.setCoalescing(config.gro);
    this.#cycle = new LifeCycle<VfState>(`VF ${config.name}`, VF_TRANSITIONS, 'down');
  }

  get name(): string {
    return this.#config.name;
  }

  get config(): VfConfig {
    return this.#config;
  }

  get queuePairs(): number {
    return this.#grants.terms.queuePairs;
  }

  get mac(): Uint8Array {
    return this.rings.settings.mac ?? macBytes(this.#config.mac);
  }

  get mtu(): number {
    return this.#grants.terms.mtu;
  }

  get disabledFeatures(): readonly string[] {
    return this.#grants.terms.disabledFeatures;
  }

  get enabledFeatures(): readonly string[] {
    return this.#grants.terms.enabledFeatures;
  }

  get keptFeatures(): bigint {
    return this.#grants.terms.keptFeatures;
  }

  get allowUnsealedMemory(): boolean {
    return this.#config.allowUnsealedMemory;
  }

  get descriptorQuota(): number {
    return this.#descriptorQuota();
  }

  get isLinkUp(): boolean {
    return this.#isLinkUp;
  }

  /** Takes the VF's place in the switch and opens its socket. Throws an OperatorError. */
  async open(): Promise<void> {
    initVlans(this.#fabric, this.number, this.#config.vlan);
    await this.rings.setLink(this.#isLinkUp);
    this.#endpoint = this.#openEndpoint();
    await this.#announceMac();
  }

  async close(): Promise<void> {
    const endpoint = this.#endpoint;
    this.#endpoint = null;
    await everyStep(`close VF ${this.name}`, [
      () => endpoint?.close(),
      () => this.#dropWaiting(),
      () => this.quarantine.close(),
      () => this.#session?.close(),
      () => forgetPort(this.#fabric, this),
    ]);
  }

  /** What the VMM at hand, or one that will come back, makes of a changed configuration. */
  vmmFor(config: VfConfig): VmmAtHand {
    const held = this.#grants.held(this.#session, config);
    const heldBack = `its VMM keeps ${held.join(' and ')} until it is started anew`;
    return {
      isAttached: this.#session !== null,
      isSuited: this.#session !== null && this.#grants.suits(this.#session, config),
      heldBack: held.length === 0 ? undefined : heldBack,
    };
  }

  /**
   * What changes in place: MAC, VLANs, link state, GRO, and the trust in unsealed memory; for the
   * next VMM also what it is offered.
   */
  async change(config: VfConfig): Promise<void> {
    const { mac, vlan } = this.#config;
    const isNewMac = config.mac !== mac;
    const hasNewVlans = vlanText(config.vlan) !== vlanText(vlan);
    this.#config = config;
    if (this.#session === null) this.#grants.settle(config);
    // First it has no address at all: a ring that starts meanwhile must not claim the old one.
    if (isNewMac || hasNewVlans) await this.#setOwnAddress(0n);
    if (hasNewVlans) await changeVlans(this.#fabric, this, vlan, config.vlan);
    else if (isNewMac) await forgetPort(this.#fabric, this);
    if (isNewMac || hasNewVlans) await this.#announceMac();
    if (isNewMac) this.#session?.notifyConfigChange();
    this.rings.setCoalescing(config.gro);
    await this.#updateLink();
  }

  /** Whether any uplink is up; with none configured, the NIC counts as having one. */
  follow(hasUplink: boolean): Promise<void> {
    this.#hasUplink = hasUplink;
    return this.#updateLink();
  }

  get heldProblem(): RingProblem | null {
    return this.quarantine.problem;
  }

  #followHold(hold: Hold | null): void {
    this.#lastFault = hold?.reason ?? this.#lastFault;
    if (hold === null) this.#emit('release', { vf: this.name });
    else this.#emit('hold', { vf: this.name, ...hold });
    if (this.#session !== null) inBackground('hold or release rings', followHold(this.#session));
  }

  async reattach(processor: number, direction: 'rx' | 'tx'): Promise<void> {
    const lost = await this.rings.reattach(processor, direction);
    for (const { queue, reason } of lost) this.#tellRingFault(queue, reason);
  }

  async setAside(reason: string): Promise<void> {
    for (const queue of this.rings.queues()) {
      await this.rings.fault(queue, reason);
      this.#session?.signalRingError(queue);
    }
    this.#fault(reason);
  }

  /** A processor stopped one of our rings. */
  async onRingFault(place: number, { fault, reason }: RingProblem): Promise<void> {
    const queue = place === CONTROL_QUEUE ? this.rings.controlQueue : place;
    if (queue === null) return;
    await this.rings.fault(queue, reason);
    this.#tellRingFault(queue, reason);
    if (fault === RING_FAULT_TRAP) this.quarantine.noteTrap(performance.now());
  }

  #tellRingFault(queue: number, reason: string): void {
    this.#session?.signalRingError(queue);
    this.#fault(reason, queue);
  }

  onCommand(bytes: Uint8Array, room: number): Promise<Uint8Array> {
    return this.#control.handle(bytes, room, this.#session?.features ?? 0n);
  }

  onUntranslated(iova: bigint, access: number): void {
    this.#session?.iommu.miss(iova, access);
  }

  onOutside(address: bigint): void {
    if (this.#isOutsideTold) return;
    this.#isOutsideTold = true;
    this.#warn(`a buffer at guest address 0x${address.toString(16)} lies ${NOT_SHARED}`);
  }

  info(): VfInfo {
    const vmmMtu = this.#session?.vmmMtu ?? 0;
    const { isAttached, heldBack } = this.vmmFor(this.#config);
    return {
      ...this.#config,
      state: this.#cycle.state,
      processor: this.processor,
      features: featureNames(this.#session?.features ?? 0n),
      rings: ringInfos(this.rings),
      memoryBytes: this.#session?.memory.sizeBytes ?? 0,
      link: this.#isLinkUp ? 'up' : 'down',
      ...(isAttached && heldBack !== undefined ? { pending: heldBack } : {}),
      ...(vmmMtu === 0 || vmmMtu === this.mtu ? {} : { vmmMtu }),
      ...(this.#lastFault === undefined ? {} : { lastFault: this.#lastFault }),
    };
  }

  stats(): VfStats {
    const { shared } = this.#fabric;
    const queues = readQueues(shared, this.number, this.queuePairs);
    const { name, mac } = this.#config;
    const states = { state: this.#cycle.state, link: this.#isLinkUp ? 'up' : 'down' } as const;
    const addresses = readAddresses(shared, this.number);
    const sums = { addresses, tx: sumTx(queues), rx: sumRx(queues) };
    const control = readControl(shared, this.number);
    return { name, mac, ...states, ...sums, queues, ...(control && { control }) };
  }

  #openEndpoint(): Endpoint {
    const listener = {
      onConnection: (fd: number) => this.#meet(fd),
      onTrouble: (reason: string) => this.#fault(reason),
    };
    return this.#config.mode === 'server'
      ? new ServerEndpoint(this.#config.socket, this.#poller, listener)
      : new ClientEndpoint(this.#config.socket, listener);
  }

  /** The switch first, then the guest: a carrier that comes up must not meet a port still down. */
  #updateLink(): Promise<void> {
    const isUp = isLinkUp(this.#config.linkState, this.#hasUplink);
    if (isUp === this.#isLinkUp) return this.#linkChange;
    this.#isLinkUp = isUp;
    const change = async (): Promise<void> => {
      await this.rings.setLink(isUp);
      this.#session?.notifyConfigChange();
      this.#emit(isUp ? 'link-up' : 'link-down', { vf: this.name });
    };
    // One that failed does not keep the next from being carried out.
    this.#linkChange = this.#linkChange.then(change, change);
    return this.#linkChange;
  }

  #announceMac(): Promise<void> {
    const vlan = vlanOfOwnAddress(this.#config.vlan);
    return this.#setOwnAddress(addressNumber(this.#config.mac, vlan));
  }

  #setOwnAddress(address: bigint): Promise<void> {
    writeOwnAddress(this.#fabric.shared, this.number, address);
    return this.rings.publish();
  }

  #meet(fd: number): boolean {
    if (this.#session === null) {
      this.#begin(fd);
      return true;
    }
    if (this.#waitingFd !== -1) return false;
    // The end of the last session may lie in the same batch of events, behind this one: look after
    // it.
    this.#waitingFd = fd;
    setImmediate(() => {
      if (this.#session !== null && !this.#session.isClosing) this.#dropWaiting();
    });
    return true;
  }

  #dropWaiting(): void {
    closePeerFd(this.#waitingFd);
    this.#waitingFd = -1;
  }

  #begin(fd: number): void {
    this.#isFaulted = false;
    this.#isOutsideTold = false;
    this.#grants.begin(peerProcess(fd), this.#config);
    this.#session = new Session(fd, this.#poller, this, {
      onStateChange: () => this.#update(),
      onReset: () => {
        this.#isFaulted = false;
        this.#update();
        this.#emit('reset', { vf: this.name });
      },
      onRefusal: (reason) => this.#fault(reason, undefined, this.#refusals.words(reason)),
      onOddity: (reason) => this.#warn(reason),
      onRingFault: (queue, reason) => this.#tellRingFault(queue, reason),
      onUntranslatable: (iova) => {
        this.#lastFault = `address ${iova.toString(16)} is not translated by the guest's IOMMU`;
      },
      onClosed: (reason) => this.#end(reason),
    });
    this.#update();
    this.#emit('connect', { vf: this.name });
  }

  #end(closed: string | null): void {
    const vain = this.#session === null ? null : this.#grants.end(this.#session);
    const reason = closed ?? vain;
    this.#session = null;
    if (reason !== null) this.#lastFault = reason;
    this.#cycle.to('down');
    const untold = this.#refusals.rest();
    if (untold !== null) this.#emit('fault', { vf: this.name, reason: untold });
    this.#emit('disconnect', { vf: this.name, ...(reason === null ? {} : { reason }) });
    const fd = this.#waitingFd;
    this.#waitingFd = -1;
    if (fd !== -1 && this.#endpoint !== null) this.#begin(fd);
    else if (fd !== -1) closePeerFd(fd);
    else this.#endpoint?.resume();
  }

  /** `words`: what is told of it; null: nothing. */
  #fault(reason: string, queue?: number, words: string | null = reason): void {
    this.#lastFault = reason;
    // A ring that is faulted says so itself, and for as long as it is.
    if (queue === undefined) this.#isFaulted = this.#session !== null;
    this.#update();
    if (words === null) return;
    this.#emit('fault', {
      vf: this.name,
      reason: words,
      ...(queue === undefined ? {} : { queue }),
    });
  }

  /** Something is wrong that stops nothing of ours. */
  #warn(reason: string): void {
    this.#lastFault = reason;
    this.#emit('fault', { vf: this.name, reason });
  }

  /** The state follows from the session and its rings. */
  #update(): void {
    if (this.#session === null) return;
    const states = this.rings.queues().map((queue) => this.rings.state(queue));
    if (this.#isFaulted && states.every((state) => state !== 'faulted')) {
      // A refused request is over as soon as the rings run all the same.
      this.#isFaulted = states.length === 0;
    }
    const before = this.#cycle.state;
    if (states.includes('faulted') || this.#isFaulted) this.#to('faulted');
    else if (this.#session.state === 'running') this.#to('ready');
    else this.#to('connected');
    if (before !== 'ready' && this.#cycle.is('ready')) this.#emit('ready', { vf: this.name });
  }

  #to(state: VfState): void {
    if (this.#cycle.is('down')) this.#cycle.to('connected');
    this.#cycle.to(state);
  }
}
