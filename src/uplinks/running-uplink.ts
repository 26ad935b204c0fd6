import { everyStep } from '../background.ts';
import { NetPort, pairRole } from '../functions/net/net-port.ts';
import { closeFd } from '../os/descriptor.ts';
import type { Fabric, PortPlace, ProcessorHealth, SwitchPort } from '../processor/fabric.ts';
import { forgetPort } from '../processor/forget-port.ts';
import type { FunctionView, WireView } from '../processor/function-view.ts';
import { changeVlans, initVlans } from '../processor/port-vlans.ts';
import { readAddresses, readQueues, sumRx, sumTx } from '../state/counters.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import { vlanText } from '../state/vlan.ts';
import type { RingSetState } from '../virtqueue/ring-set.ts';
import { readWireStats } from '../wires/wire-stats.ts';
import type { UplinkConfig } from './config.ts';
import { LoopHold } from './loop-hold.ts';
import { portRingSetup } from './port-rings.ts';
import { PortRooms } from './port-rooms.ts';
import { openTrace } from './trace-file.ts';
import type { UplinkEmit, UplinkInfo, UplinkStats } from './types.ts';
import { featuresOf, type SourceListener, type UplinkSource, type Wires } from './uplink.ts';
import type { UplinkState } from './uplink-state.ts';

/** Of a port that begins anew. */
const NO_RINGS: RingSetState = { regions: [], isBehindIommu: false, rings: [] };

/**
 * An uplink of a NIC: a port of the switch whose guest is a driver in the processor.
 *
 *     source ─wires─► ports (in the processor) ─► rings ─► switch
 *
 * While its source is down, its rings do not run, and the switch floods frames for hosts behind it.
 */
export class Uplink implements SwitchPort {
  readonly number: number;
  readonly port: number;
  readonly ringBlock: RingBlock;
  /** Of the first queue pair. */
  readonly processor: number;
  #config: UplinkConfig;
  readonly #fabric: Fabric;
  readonly #port: NetPort;
  readonly #source: UplinkSource;
  readonly #emit: UplinkEmit;
  readonly #pairs: number;
  readonly #rooms: PortRooms;
  /** Changes are carried out one after another. */
  #lastChange: Promise<void> = Promise.resolve();
  #wires: Wires | null = null;
  #isUp = false;
  /** While it is on, the link is down in the switch: the uplink makes a loop with another. */
  readonly #loop = new LoopHold(() => this.#change(() => this.#release()));
  #reason: string | undefined;
  #isClosed = false;
  #traceFd = -1;

  constructor(
    config: UplinkConfig,
    place: PortPlace,
    fabric: Fabric,
    source: UplinkSource,
    emit: UplinkEmit,
  ) {
    this.#config = config;
    this.number = place.number;
    this.port = place.port;
    this.ringBlock = place.ringBlock;
    this.processor = place.processor;
    this.#fabric = fabric;
    this.#source = source;
    this.#emit = emit;
    this.#pairs = 'queues' in config ? config.queues : 1;
    this.#rooms = new PortRooms(fabric.pins);
    const processorOf = (queue: number) => this.#processorOf(queue >> 1);
    this.#port = new NetPort(place, { processorOf, roleOf: pairRole }, fabric);
    this.#port.setGro(config.gro);
  }

  get name(): string {
    return this.#config.name;
  }

  get isUp(): boolean {
    return this.#isUp && !this.#loop.isOn;
  }

  get config(): UplinkConfig {
    return this.#config;
  }

  /** Resolves when the uplink is up, or waits for its peer. Throws an OperatorError. */
  async open(): Promise<void> {
    this.#port.open();
    initVlans(this.#fabric, this.port, this.#config.vlan);
    this.#fabric.shared.setLearnedMax(this.port, this.#config.addressesMax);
    this.#fabric.shared.setUplink(this.port);
    try {
      this.#rooms.allocate(this.#config, this.#pairs);
      if (this.config.trace !== undefined) this.#traceFd = openTrace(this.config.trace, this.name);
      await this.#source.start(this.#listener, this.#rooms.file);
      await this.#lastChange;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  get #listener(): SourceListener {
    return {
      onUp: (wires) => this.#change(() => this.#up(wires)),
      onDown: (reason) => this.#change(() => this.#down(reason)),
    };
  }

  /** Changes what can change while the wires stay open: VLANs, GRO, and the address limit. */
  async change(config: UplinkConfig): Promise<void> {
    const { vlan } = this.#config;
    this.#config = config;
    this.#port.setGro(config.gro);
    this.#fabric.shared.setLearnedMax(this.port, config.addressesMax);
    if (this.#loop.isOn) {
      this.#loop.cancel();
      this.#change(() => this.#release());
    }
    if (vlanText(vlan) === vlanText(config.vlan)) return;
    await changeVlans(this.#fabric, this, vlan, config.vlan);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#change(() => this.#letGo());
    await everyStep(`close uplink ${this.name}`, [
      () => this.#lastChange,
      () => this.#source.stop(),
      () => forgetPort(this.#fabric, this),
      () => this.#free(),
    ]);
  }

  #free(): void {
    this.#rooms.free();
    closeFd(this.#traceFd);
  }

  /** A processor found a wire dead. */
  onLost(reason: string): void {
    this.#source.lose(reason);
  }

  /** Our own driver broke a ring, or the firmware trapped on it: starts over. */
  async onRingFault(queue: number, { reason }: RingProblem): Promise<void> {
    await this.#port.rings.fault(queue, reason);
    await this.setAside(reason);
  }

  /** This uplink and another one lead into the same network: cuts this one off for a while. */
  hold(other: string): void {
    this.#change(async () => {
      if (!this.isUp || this.#isClosed) return;
      this.#loop.begin();
      await this.#port.setLink(false);
      const wait = `retried after ${this.#loop.seconds} s`;
      this.#reason = `makes a loop: ${other} leads into the same network; ${wait}`;
      this.#emit('uplink-held', { uplink: this.name, reason: this.#reason });
    });
  }

  async #release(): Promise<void> {
    if (!this.#isUp || this.#loop.isOn) return;
    this.#reason = undefined;
    await this.#port.setLink(true);
    this.#emit('uplink-up', { uplink: this.name });
  }

  get #state(): UplinkInfo['state'] {
    if (!this.#isUp) return 'down';
    return this.#loop.isOn ? 'held' : 'up';
  }

  view(): FunctionView {
    return { ...this.#port.view(), wires: this.#wireViews() };
  }

  /** Starts over. If that fails, the uplink is down, with a reason. */
  async setAside(reason: string): Promise<void> {
    const wires = this.#wires;
    if (wires === null) {
      this.#reason ??= reason;
      return;
    }
    this.#change(async () => {
      if (this.#wires !== wires) return; // they went down meanwhile, and may be closed
      await this.#letGo();
      await this.#up(wires);
    });
    this.#reason = reason;
    await this.#lastChange;
  }

  /** `now`: monotonic milliseconds. */
  save(now: number): UplinkState {
    return structuredClone({
      ...{ number: this.number, port: this.port, ringBlock: this.ringBlock },
      ...{ processor: this.processor, config: this.#config },
      ...{ isUp: this.#isUp, reason: this.#reason, loop: this.#loop.save(now) },
      ...{ rooms: this.#rooms.save(), traceFd: this.#traceFd, source: this.#source.save() },
      net: this.#port.save(),
    });
  }

  /**
   * In place of `open`: goes on where an uplink was saved. Processors learn of it when they start.
   * Where its source can only begin anew, it is down until that is up.
   */
  restore(state: UplinkState, now: number): void {
    const { rooms, traceFd, source, isUp, net } = state;
    this.#traceFd = traceFd;
    this.#rooms.restore(rooms);
    this.#reason = state.reason;
    const wires = this.#source.restore(this.#listener, this.#rooms.file, source);
    this.#wires = isUp ? wires : null;
    this.#isUp = this.#wires !== null;
    // A link that was held begins anew, too, and so do rings: they find out where they stand.
    if (this.#isUp) this.#loop.restore(state.loop, now);
    const { rings, isLinkUp, ...rest } = net;
    const [running, link] = this.#isUp ? [rings, isLinkUp] : [NO_RINGS, true];
    const setupOf = (queue: number) => portRingSetup(queue, this.#rooms.callFds);
    this.#port.restore({ ...rest, rings: running, isLinkUp: link }, setupOf);
    if (wires !== null && !isUp) this.#change(() => this.#up(wires));
  }

  /** Resolves when what has come up or gone down so far is carried out. */
  settled(): Promise<void> {
    return this.#lastChange;
  }

  /** What it has open is another one's, as far as that can be handed over. */
  async handOver(): Promise<void> {
    const isLasting = this.#source.save() !== null;
    if (isLasting) this.#source.handOver();
    else this.#change(() => this.#letGo());
    await this.#lastChange;
    if (!isLasting) await this.#source.stop();
    this.#isClosed = true;
    this.#loop.handOver();
    this.#port.rings.handOver();
  }

  leave(): void {
    this.#source.leave?.();
  }

  isServedBy(processor: number): boolean {
    return this.#processors().includes(processor);
  }

  info(): UplinkInfo {
    const health = this.#healths().find(({ state }) => state === 'recovering');
    const capabilities = this.#wires?.capabilities;
    return {
      ...this.config,
      state: this.#state,
      processor: this.processor,
      ...(capabilities === undefined ? {} : { capabilities }),
      ...(health?.state === 'recovering' ? { recovering: health.reason } : {}),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }

  stats(): UplinkStats {
    const queues = readQueues(this.#fabric.shared, this.ringBlock.first, this.#pairs);
    const kernel = this.#source.kernelStats?.();
    return {
      name: this.name,
      type: this.config.type,
      state: this.#state,
      addresses: readAddresses(this.#fabric.shared, this.port),
      tx: sumTx(queues),
      rx: sumRx(queues),
      queues,
      wire: readWireStats(this.#rooms.fd, this.#pairs),
      ...(kernel === undefined ? {} : { kernel }),
    };
  }

  #change(work: () => Promise<void>): void {
    this.#lastChange = this.#lastChange.then(work).catch((error: Error) => {
      // A processor refused, for lack of memory for example. The NIC continues without this uplink.
      this.#reason = error.message;
      this.#isUp = false;
      this.#emit('uplink-down', { uplink: this.name, reason: error.message });
    });
  }

  async #up(wires: Wires): Promise<void> {
    if (this.#isClosed) return;
    for (const health of this.#healths()) {
      if (health.state === 'broken') throw new Error(health.reason);
    }
    this.#wires = wires;
    try {
      await this.#attach(wires);
    } catch (error) {
      await this.#letGo(); // all or nothing
      throw error;
    }
    this.#reason = undefined;
    this.#isUp = true;
    this.#emit('uplink-up', { uplink: this.name });
  }

  async #attach(wires: Wires): Promise<void> {
    await this.#port.rings.setMemory(this.#rooms.regions(wires.settings));
    await this.#attachPorts();
    const features = featuresOf(wires.capabilities);
    for (let queue = 0; queue < this.#pairs * 2; queue++) {
      const problem = await this.#port.rings.start(
        queue,
        portRingSetup(queue, this.#rooms.callFds),
        this.#rooms.memory,
        features,
      );
      if (problem !== null) throw new Error(problem === 'nowhere' ? problem : problem.reason);
    }
  }

  async #down(reason: string): Promise<void> {
    this.#reason = reason;
    await this.#letGo();
    if (!this.#isClosed) this.#emit('uplink-down', { uplink: this.name, reason });
    this.#source.release();
  }

  async #letGo(): Promise<void> {
    const wires = this.#wires;
    if (wires === null) return;
    this.#wires = null;
    this.#loop.cancel(); // a held link starts over
    const detach = wires.settings.map((wire, pair) => () => {
      const pin = this.#rooms.pinOf(pair, wire);
      const message = { kind: 'detach-port', port: this.port, pair, pin } as const;
      return this.#fabric.post(this.#processorOf(pair), message);
    });
    // Afterwards nothing refers to what the source may close, such as a ring of the kernel.
    await everyStep(`let go of the wires of ${this.name}`, [
      () => this.#port.rings.stopAll(),
      () => this.#port.setLink(true),
      ...detach,
      () => this.#port.rings.setMemory([]),
    ]);
    this.#isUp = false;
  }

  async #attachPorts(): Promise<void> {
    for (const { processor, ...wire } of this.#wireViews()) {
      await this.#fabric.post(processor, { kind: 'attach-port', port: this.port, ...wire });
    }
  }

  #wireViews(): WireView[] {
    const mtu = this.#wires?.capabilities.mtu ?? 0;
    return (this.#wires?.settings ?? []).map((settings, pair) => {
      const { faults } = this.config;
      const traceFd = this.#traceFd === -1 ? undefined : this.#traceFd;
      const wire = { ...settings, faults, traceFd };
      const [pin, callFd] = [this.#rooms.pinOf(pair, settings), this.#rooms.callFdOf(pair)];
      const receiveRing = this.ringBlock.first + 2 * pair;
      const processor = this.#processorOf(pair);
      return { pair, processor, receiveRing, pin, wire, mtu, callFd };
    });
  }

  /** The queue pairs are spread over the processors, starting with the uplink's own. */
  #processorOf(pair: number): number {
    return (this.processor + pair) % this.#fabric.processorCount;
  }

  #processors(): number[] {
    return Array.from({ length: this.#pairs }, (_, pair) => this.#processorOf(pair));
  }

  #healths(): ProcessorHealth[] {
    return this.#processors().map((index) => this.#fabric.healthOf(index));
  }
}
