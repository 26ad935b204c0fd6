import { everyStep } from '../background.ts';
import type { Fabric, PortPlace, SwitchPort } from '../processor/fabric.ts';
import { forgetPort } from '../processor/forget-port.ts';
import type { FunctionView } from '../processor/function-view.ts';
import { changeVlans, initVlans } from '../processor/port-vlans.ts';
import { readAccount } from '../state/accounts.ts';
import { readAddresses, sumRx, sumTx } from '../state/counters.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import { vlanText } from '../state/vlan.ts';
import type { RingSet } from '../virtqueue/ring-set.ts';
import type { UplinkConfig } from './config.ts';
import { LoopHold } from './loop-hold.ts';
import type { UplinkEmit, UplinkInfo, UplinkStats } from './types.ts';
import type { SourceListener, UplinkSource, Wires } from './uplink.ts';
import type { UplinkState } from './uplink-state.ts';
import { WiredPort } from './wired-port.ts';

/**
 * An uplink of a NIC: a port of the switch with a driver in the processor in place of a guest.
 *
 *     source ─wires─► driver (in the processor) ─► rings ─► switch
 *
 * While its source is down, its rings do not run, and the switch floods frames for hosts behind it.
 */
export class Uplink implements SwitchPort {
  readonly number: number;
  readonly port: number;
  readonly ringBlock: RingBlock;
  /** The processor of the first queue pair. */
  readonly processor: number;
  #config: UplinkConfig;
  readonly #fabric: Fabric;
  readonly #wired: WiredPort;
  readonly #source: UplinkSource;
  readonly #emit: UplinkEmit;
  readonly #whenOpen: (work: () => void) => void;
  /** Changes are made one at a time. */
  #lastChange: Promise<void> = Promise.resolve();
  #isUp = false;
  /** While it is on, the switch sees the link as down: the uplink forms a loop with another one. */
  readonly #loop = new LoopHold(() => this.#change(() => this.#release()));
  #reason: string | undefined;
  #isClosed = false;

  constructor(
    config: UplinkConfig,
    place: PortPlace,
    fabric: Fabric,
    source: UplinkSource,
    emit: UplinkEmit,
    whenOpen: (work: () => void) => void,
  ) {
    this.#config = config;
    this.number = place.number;
    this.port = place.port;
    this.ringBlock = place.ringBlock;
    this.processor = place.processor;
    this.#fabric = fabric;
    this.#wired = new WiredPort(config, place, fabric);
    this.#source = source;
    this.#emit = emit;
    this.#whenOpen = whenOpen;
  }

  get name(): string {
    return this.#config.name;
  }

  get isUp(): boolean {
    return this.#isUp && !this.#loop.isOn;
  }

  get rings(): RingSet {
    return this.#wired.net.rings;
  }

  /** Of its wire, in bit/s; 0: unlimited. */
  get capacity(): number {
    const { capacity } = this.#config;
    return capacity === 'auto' ? (this.#wired.wires?.capabilities.speed ?? 0) : capacity;
  }

  get config(): UplinkConfig {
    return this.#config;
  }

  /** Resolves when the uplink is up or waits for its peer. Throws an OperatorError. */
  async open(): Promise<void> {
    this.#wired.net.open();
    initVlans(this.#fabric, this.port, this.#config.vlan);
    this.#fabric.shared.setLearnedMax(this.port, this.#config.addressesMax);
    this.#fabric.shared.setUplink(this.port);
    try {
      this.#wired.allocate();
      await this.#source.start(this.#listener, this.#wired.file);
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

  /**
   * Changes the settings that need no new wires: VLANs, GRO, and the address limit. The schedule
   * reads `capacity` itself.
   */
  async change(config: UplinkConfig): Promise<void> {
    const { vlan } = this.#config;
    this.#config = config;
    this.#wired.net.setGro(config.gro);
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
    this.#change(() => this.#detach());
    await everyStep(`close uplink ${this.name}`, [
      () => this.#lastChange,
      () => this.#source.stop(),
      () => forgetPort(this.#fabric, this),
      () => this.#wired.free(),
    ]);
  }

  /** A processor found that a wire no longer works. */
  onLost(reason: string): void {
    this.#source.lose(reason);
  }

  /** Our own driver broke a ring, or the firmware trapped on it: the uplink restarts. */
  async onRingFault(queue: number, { reason }: RingProblem): Promise<void> {
    await this.#wired.net.rings.fault(queue, reason);
    await this.setAside(reason);
  }

  /** This uplink and `other` lead to the same network: takes the link down for a while. */
  hold(other: string): void {
    this.#change(async () => {
      if (!this.isUp || this.#isClosed) return;
      this.#loop.begin();
      await this.#wired.net.setLink(false);
      const wait = `retried after ${this.#loop.seconds} s`;
      this.#reason = `makes a loop: ${other} leads into the same network; ${wait}`;
      this.#emit('uplink-held', { uplink: this.name, reason: this.#reason });
    });
  }

  async #release(): Promise<void> {
    if (!this.#isUp || this.#loop.isOn) return;
    this.#reason = undefined;
    await this.#wired.net.setLink(true);
    this.#emit('uplink-up', { uplink: this.name });
  }

  get #state(): UplinkInfo['state'] {
    if (!this.#isUp) return 'down';
    return this.#loop.isOn ? 'held' : 'up';
  }

  view(): FunctionView {
    return this.#wired.view();
  }

  /** Restarts the uplink on the same wires. If that fails, it is down, with a reason. */
  async setAside(reason: string): Promise<void> {
    const { wires } = this.#wired;
    if (wires === null) {
      this.#reason ??= reason;
      return;
    }
    this.#change(async () => {
      if (this.#wired.wires !== wires) return; // they have gone down, and may be closed
      await this.#detach();
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
      ...{ ...this.#wired.save(), source: this.#source.save() },
    });
  }

  /**
   * Instead of `open`: continues from a saved uplink. Processors learn of it when they start. A
   * source that can only be opened again is down until it has come up.
   */
  restore(state: UplinkState, now: number): void {
    this.#wired.restoreRooms(state);
    this.#reason = state.reason;
    const wires = this.#source.restore(this.#listener, this.#wired.file, state.source);
    this.#isUp = state.isUp && wires !== null;
    // A source that was opened again has a new link, which no loop holds, and new rings.
    if (this.#isUp) this.#loop.restore(state.loop, now, this.#whenOpen);
    this.#wired.restoreRings(state, this.#isUp ? wires : null);
    if (wires !== null && !state.isUp) this.#change(() => this.#up(wires));
  }

  /** Resolves when all changes so far, such as the link going up or down, are complete. */
  settled(): Promise<void> {
    return this.#lastChange;
  }

  /** Gives up what it has open, to be used by its successor if the kind allows that. */
  async handOver(): Promise<void> {
    const isLasting = this.#source.save() !== null;
    if (isLasting) this.#source.handOver();
    else this.#change(() => this.#detach());
    await this.#lastChange;
    if (!isLasting) await this.#source.stop();
    this.#isClosed = true;
    this.#loop.handOver();
    this.#wired.net.rings.handOver();
  }

  leave(): void {
    this.#source.leave?.();
  }

  isServedBy(processor: number): boolean {
    return this.#wired.processors().includes(processor);
  }

  info(): UplinkInfo {
    const health = this.#wired.healths().find(({ state }) => state === 'recovering');
    const capabilities = this.#wired.wires?.capabilities;
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
    const queues = this.#wired.queueStats();
    const kernel = this.#source.kernelStats?.();
    return {
      name: this.name,
      type: this.config.type,
      state: this.#state,
      addresses: readAddresses(this.#fabric.shared, this.port),
      account: readAccount(this.#fabric.shared.view, this.number),
      tx: sumTx(queues),
      rx: sumRx(queues),
      queues,
      wire: this.#wired.wireStats(),
      ...(kernel === undefined ? {} : { kernel }),
    };
  }

  #change(work: () => Promise<void>): void {
    this.#lastChange = this.#lastChange.then(work).catch((error: Error) => {
      // For example, a processor is out of memory. The NIC continues without this uplink.
      this.#reason = error.message;
      this.#isUp = false;
      this.#emit('uplink-down', { uplink: this.name, reason: error.message });
    });
  }

  async #up(wires: Wires): Promise<void> {
    if (this.#isClosed) return;
    for (const health of this.#wired.healths()) {
      if (health.state === 'broken') throw new Error(health.reason);
    }
    await this.#wired.attach(wires);
    this.#reason = undefined;
    this.#isUp = true;
    this.#emit('uplink-up', { uplink: this.name });
  }

  async #down(reason: string): Promise<void> {
    this.#reason = reason;
    await this.#detach();
    if (!this.#isClosed) this.#emit('uplink-down', { uplink: this.name, reason });
    this.#source.release();
  }

  async #detach(): Promise<void> {
    if (this.#wired.wires === null) return;
    this.#loop.cancel(); // the next link is not held
    await this.#wired.detach();
    this.#isUp = false;
  }
}
