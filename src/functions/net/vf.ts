import { CONTROL_QUEUE } from '../../../layout/limits.ts';
import { VIRTIO_NET_F_CTRL_VQ } from '../../../layout/virtio.ts';
import { everyStep } from '../../background.ts';
import type { EventOf } from '../../events.ts';
import type { Poller } from '../../os/poller.ts';
import { peerProcess } from '../../os/unix-socket.ts';
import type { Fabric, PortPlace, SwitchPort } from '../../processor/fabric.ts';
import { forgetPort } from '../../processor/forget-port.ts';
import type { FunctionView } from '../../processor/function-view.ts';
import type { RingRole } from '../../processor/mailbox.ts';
import { changeVlans, initVlans } from '../../processor/port-vlans.ts';
import { readAccount } from '../../state/accounts.ts';
import { readAddresses, readControl, readQueues, sumRx, sumTx } from '../../state/counters.ts';
import { addressNumber, macBytes, writeOwnAddress } from '../../state/mac-table.ts';
import type { RingBlock } from '../../state/ring-numbers.ts';
import type { RingProblem } from '../../state/ring-problem.ts';
import { vlanOfOwnAddress, vlanText } from '../../state/vlan.ts';
import type { Device, FrontEndTraits } from '../../vhost-user/device.ts';
import { ProtocolFeature } from '../../vhost-user/message.ts';
import { Refusal } from '../../vhost-user/refusal.ts';
import type { Session } from '../../vhost-user/session.ts';
import { featureSet, hasFeature } from '../../virtqueue/features.ts';
import type { RingSet } from '../../virtqueue/ring-set.ts';
import { Attachment, type AttachmentState } from '../attachment.ts';
import type { Quarantine } from '../quarantine.ts';
import { ringInfos } from '../ring-info.ts';
import type { AttachmentEvent } from '../types.ts';
import type { LinkState, VfConfig } from './config.ts';
import { netConfigSpace } from './config-space.ts';
import { featureNames, isAcceptable, offeredFeatures } from './features.ts';
import { Grants, type GrantsState } from './grants.ts';
import { GuestControl } from './guest-control.ts';
import { NetPort, type NetPortState, pairRole } from './net-port.ts';
import { controlQueueOf } from './ring-features.ts';
import type { VfEmit, VfEvents, VfInfo, VfStats, VmmAtHand } from './types.ts';

/** A VF as data, from which a successor can be created that continues in its place. */
export interface VfState {
  config: VfConfig;
  number: number;
  port: number;
  ringBlock: RingBlock;
  processor: number;
  hasUplink: boolean;
  isLinkUp: boolean;
  grants: GrantsState;
  attachment: AttachmentState;
  net: NetPortState;
}

function isLinkUp(state: LinkState, hasUplink: boolean): boolean {
  return state === 'enable' || (state === 'auto' && hasUplink);
}

/** What a NIC assigns to a VF. */
export interface VfPlace extends PortPlace {
  hasUplink: boolean;
  descriptorQuota(): number;
}

/**
 * A virtual function: a network device that a VMM attaches to, and its port of the switch.
 *
 *     attachment ─► session (one front-end at a time) ─► rings ─► processors
 *                                                          └► port of the switch
 */
export class Vf implements Device, SwitchPort {
  readonly number: number;
  readonly port: number;
  readonly processor: number;
  readonly ringBlock: RingBlock;
  readonly protocolFeatures = featureSet([ProtocolFeature.MTU]);
  #config: VfConfig;
  readonly #fabric: Fabric;
  readonly #emit: VfEmit;
  readonly #port: NetPort;
  readonly #attachment: Attachment;
  readonly #control: GuestControl;
  readonly #grants: Grants;
  #hasUplink: boolean;
  readonly #descriptorQuota: () => number;
  #isLinkUp: boolean;
  #linkChange: Promise<void> = Promise.resolve();

  constructor(config: VfConfig, place: VfPlace, fabric: Fabric, poller: Poller, emit: VfEmit) {
    this.#config = config;
    this.number = place.number;
    this.port = place.port;
    this.processor = place.processor;
    this.ringBlock = place.ringBlock;
    this.#fabric = fabric;
    this.#emit = emit;
    this.#hasUplink = place.hasUplink;
    this.#descriptorQuota = place.descriptorQuota;
    this.#isLinkUp = isLinkUp(config.linkState, place.hasUplink);
    this.#grants = new Grants(config);
    const processorOf = () => this.processor;
    const roleOf = (queue: number, features: bigint) => this.roleOf(queue, features);
    this.#port = new NetPort(place, { processorOf, roleOf }, fabric);
    this.#port.setGro(config.gro);
    this.#control = new GuestControl(this.#port, () => this.queuePairs);
    this.#attachment = new Attachment(this, poller, {
      emit: (...event) => this.#tell(...event),
      health: () => fabric.healthOf(this.processor),
      onBegin: (fd) => this.#onBegin(fd),
      onEnd: (session) => this.#grants.end(session),
    });
  }

  get name(): string {
    return this.#config.name;
  }

  get config(): VfConfig {
    return this.#config;
  }

  get rings(): RingSet {
    return this.#port.rings;
  }

  get queuePairs(): number {
    return this.#grants.terms.queuePairs;
  }

  get mtu(): number {
    return this.#grants.terms.mtu;
  }

  get allowUnsealedMemory(): boolean {
    return this.#config.allowUnsealedMemory;
  }

  get descriptorQuota(): number {
    return this.#descriptorQuota();
  }

  get startProblem(): RingProblem | null {
    return this.#attachment.startProblem;
  }

  get quarantine(): Quarantine {
    return this.#attachment.quarantine;
  }

  get #session(): Session | null {
    return this.#attachment.session;
  }

  /**
   * Takes the VF's place in the switch and opens its socket. Throws an OperatorError if that fails.
   */
  async open(): Promise<void> {
    this.#port.open();
    initVlans(this.#fabric, this.port, this.#config.vlan);
    await this.#port.setLink(this.#isLinkUp);
    this.#attachment.open(this.#config);
    await this.#announceMac();
  }

  /** `now`: monotonic milliseconds. */
  save(now: number): VfState {
    return {
      config: structuredClone(this.#config),
      number: this.number,
      port: this.port,
      ringBlock: this.ringBlock,
      processor: this.processor,
      hasUplink: this.#hasUplink,
      isLinkUp: this.#isLinkUp,
      grants: this.#grants.save(),
      attachment: this.#attachment.save(now),
      net: this.#port.save(),
    };
  }

  /** Replaces `open`: continues a saved VF. Processors learn about it when they start. */
  restore(state: VfState, now: number): void {
    this.#hasUplink = state.hasUplink;
    this.#isLinkUp = state.isLinkUp;
    this.#grants.restore(state.grants);
    this.#attachment.restore(state.attachment, now, this.#config);
    // The rings and their session share the setup of each ring.
    this.#port.restore(state.net, (queue) => this.#session?.rings.knownSetup(queue));
  }

  /** Everything it holds now belongs to a successor, which is created from what this one saved. */
  async handOver(): Promise<void> {
    await everyStep(`hand over VF ${this.name}`, [
      () => this.#attachment.handOver(),
      () => this.#linkChange,
      () => this.rings.handOver(),
    ]);
  }

  async close(): Promise<void> {
    await everyStep(`close VF ${this.name}`, [
      () => this.#attachment.close(),
      () => forgetPort(this.#fabric, this),
    ]);
  }

  offeredFeatures(traits: FrontEndTraits): bigint {
    return offeredFeatures(this.#grants.terms, traits);
  }

  isAcceptable(features: bigint): boolean {
    return isAcceptable(features, offeredFeatures(this.#grants.terms));
  }

  roleOf(queue: number, features: bigint): RingRole | null {
    const negotiated = features & offeredFeatures(this.#grants.terms);
    if (queue === controlQueueOf(negotiated, this.queuePairs)) return 'control';
    if (queue >= 2 * this.queuePairs) return null;
    return pairRole(queue);
  }

  /**
   * The answer to "how many queues". Front-ends that know network devices (QEMU's netdev,
   * virtio-user) mean pairs. Those that pass on any device mean virtqueues; they are the ones that
   * read the configuration space.
   */
  queueCount(readsConfig: boolean): number {
    if (!readsConfig) return this.queuePairs;
    const hasControl = hasFeature(offeredFeatures(this.#grants.terms), VIRTIO_NET_F_CTRL_VQ);
    return 2 * this.queuePairs + (hasControl ? 1 : 0);
  }

  readConfig(): Uint8Array {
    return netConfigSpace({
      mac: this.#port.settings.mac ?? macBytes(this.#config.mac),
      isLinkUp: this.#isLinkUp,
      queuePairs: this.queuePairs,
      mtu: this.mtu,
    });
  }

  /**
   * Sets the MTU that the VMM tells its guest. Frames longer than the VF's own MTU would be lost.
   */
  setMtu(mtu: number, isAnswered: boolean): void {
    this.#grants.vmmMtu = mtu;
    this.#port.mtu = mtu;
    if (mtu === this.mtu) return;
    const reason = `the VMM tells its guest an MTU of ${mtu}, and the VF has ${this.mtu}: make them equal`;
    // A front-end that wants no answer has already decided.
    if (mtu > this.mtu && isAnswered) throw new Refusal(reason);
    this.#attachment.warn(reason);
  }

  reset(): Promise<void> {
    return this.#port.resetSettings();
  }

  forgetQueue(queue: number): void {
    this.#port.settings.forgetQueue(queue);
  }

  /** What a changed configuration means for the VMM that is attached or will come back. */
  vmmFor(config: VfConfig): VmmAtHand {
    const held = this.#grants.held(this.#session, config);
    const heldBack = `its VMM keeps ${held.join(' and ')} until it is restarted`;
    return {
      isAttached: this.#session !== null,
      isSuited: this.#session !== null && this.#grants.suits(this.#session, config),
      heldBack: held.length === 0 ? undefined : heldBack,
    };
  }

  /**
   * Applies what can change in place: MAC, VLANs, link state, GRO, and trust in unsealed memory. If
   * no VMM is attached, also what the next one is offered. The schedule reads what is promised
   * from `config`.
   */
  async change(config: VfConfig): Promise<void> {
    const { mac, vlan } = this.#config;
    const isNewMac = config.mac !== mac;
    const hasNewVlans = vlanText(config.vlan) !== vlanText(vlan);
    this.#config = config;
    if (this.#session === null) this.#grants.settle(config);
    // First the VF has no address, so that a ring that starts meanwhile cannot claim the old one.
    if (isNewMac || hasNewVlans) await this.#setOwnAddress(0n);
    if (hasNewVlans) await changeVlans(this.#fabric, this, vlan, config.vlan);
    else if (isNewMac) await forgetPort(this.#fabric, this);
    if (isNewMac || hasNewVlans) await this.#announceMac();
    if (isNewMac) this.#session?.notifyConfigChange();
    this.#port.setGro(config.gro);
    await this.#updateLink();
  }

  /**
   * Sets whether any uplink is up. A NIC without configured uplinks counts as having one that is
   * up.
   */
  follow(hasUplink: boolean): Promise<void> {
    this.#hasUplink = hasUplink;
    return this.#updateLink();
  }

  view(): FunctionView {
    const translations = this.#session?.iommu.translations() ?? [];
    return { ...this.#port.view(), translations };
  }

  setAside(reason: string): Promise<void> {
    return this.#attachment.setAside(reason);
  }

  /** A processor stopped one of our rings. */
  async onRingFault(place: number, problem: RingProblem): Promise<void> {
    const queue = place === CONTROL_QUEUE ? this.#port.controlQueue : place;
    if (queue !== null) await this.#attachment.onRingFault(queue, problem);
  }

  onRequest(bytes: Uint8Array | null, room: number): Promise<Uint8Array> {
    return this.#control.handle(bytes, room, this.#session?.features ?? 0n);
  }

  onUntranslated(iova: bigint, access: number): void {
    this.#attachment.onUntranslated(iova, access);
  }

  onOutside(address: bigint): void {
    this.#attachment.onOutside(address);
  }

  isServedBy(processor: number): boolean {
    return processor === this.processor;
  }

  info(): VfInfo {
    const health = this.#fabric.healthOf(this.processor);
    const { lastFault } = this.#attachment;
    const vmmMtu = this.#grants.vmmMtu;
    const { isAttached, heldBack } = this.vmmFor(this.#config);
    return {
      ...this.#config,
      state: this.#attachment.state,
      processor: this.processor,
      features: featureNames(this.#session?.features ?? 0n),
      rings: ringInfos(this.rings),
      memoryBytes: this.#session?.memory.sizeBytes ?? 0,
      link: this.#isLinkUp ? 'up' : 'down',
      ...(isAttached && heldBack !== undefined ? { pending: heldBack } : {}),
      ...(vmmMtu === 0 || vmmMtu === this.mtu ? {} : { vmmMtu }),
      ...(health.state === 'recovering' ? { recovering: health.reason } : {}),
      ...(lastFault === undefined ? {} : { lastFault }),
    };
  }

  stats(): VfStats {
    const { shared } = this.#fabric;
    const queues = readQueues(shared, this.ringBlock.first, this.queuePairs);
    const { name, mac } = this.#config;
    const states = { state: this.#attachment.state, link: this.#isLinkUp ? 'up' : 'down' } as const;
    const addresses = readAddresses(shared, this.port);
    const account = readAccount(shared.view, this.number);
    const sums = { addresses, account, tx: sumTx(queues), rx: sumRx(queues) };
    const control = readControl(shared, this.ringBlock.first + CONTROL_QUEUE);
    return { name, mac, ...states, ...sums, queues, ...(control && { control }) };
  }

  /** The switch first, then the guest: when the guest sees a carrier, the port must be up. */
  #updateLink(): Promise<void> {
    const isUp = isLinkUp(this.#config.linkState, this.#hasUplink);
    if (isUp === this.#isLinkUp) return this.#linkChange;
    this.#isLinkUp = isUp;
    const change = async (): Promise<void> => {
      await this.#port.setLink(isUp);
      this.#session?.notifyConfigChange();
      this.#emit(isUp ? 'link-up' : 'link-down', { vf: this.name });
    };
    // A change that failed must not prevent the next one.
    this.#linkChange = this.#linkChange.then(change, change);
    return this.#linkChange;
  }

  #announceMac(): Promise<void> {
    const vlan = vlanOfOwnAddress(this.#config.vlan);
    return this.#setOwnAddress(addressNumber(this.#config.mac, vlan));
  }

  #setOwnAddress(address: bigint): Promise<void> {
    writeOwnAddress(this.#fabric.shared, this.port, address);
    return this.#port.publish();
  }

  #onBegin(fd: number): void {
    this.#grants.begin(peerProcess(fd), this.#config);
    this.#port.mtu = this.mtu;
  }

  /** Reports what happened at the attachment as an event of this VF. */
  #tell(...[name, detail]: AttachmentEvent): void {
    this.#emit(...([name, { vf: this.name, ...detail }] as EventOf<VfEvents>));
  }
}
