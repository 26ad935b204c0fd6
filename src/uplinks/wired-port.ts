import { everyStep } from '../background.ts';
import { NetPort, type NetPortState, pairRole } from '../functions/net/net-port.ts';
import { closeFd } from '../os/descriptor.ts';
import type { Fabric, PortPlace, ProcessorHealth } from '../processor/fabric.ts';
import type { FunctionView, WireView } from '../processor/function-view.ts';

import { readQueues } from '../state/counters.ts';
import type { QueueStats } from '../state/stats.ts';
import type { RingSetState } from '../virtqueue/ring-set.ts';
import { readWireStats, type WireStats } from '../wires/wire-stats.ts';
import type { UplinkConfig } from './config.ts';
import { portRingSetup } from './port-rings.ts';
import { PortRooms, type PortRoomsState } from './port-rooms.ts';
import { openTrace } from './trace-file.ts';
import { featuresOf, type PortFile, type Wires } from './uplink.ts';

/** A port that restarts has no rings yet. */
const NO_RINGS: RingSetState = { regions: [], isBehindIommu: false, rings: [] };

export interface WiredPortState {
  rooms: PortRoomsState;
  traceFd: number;
  net: NetPortState;
}

/**
 * The port of an uplink in the switch, and the wires that its processors move frames on: one wire
 * for each queue pair, and the pairs spread over the processors.
 */
export class WiredPort {
  readonly net: NetPort;
  readonly #config: UplinkConfig;
  readonly #place: PortPlace;
  readonly #fabric: Fabric;
  readonly #pairs: number;
  readonly #rooms: PortRooms;
  #wires: Wires | null = null;
  #traceFd = -1;

  constructor(config: UplinkConfig, place: PortPlace, fabric: Fabric) {
    this.#config = config;
    this.#place = place;
    this.#fabric = fabric;
    this.#pairs = 'queues' in config ? config.queues : 1;
    this.#rooms = new PortRooms(fabric.pins);
    const processorOf = (queue: number) => this.#processorOf(queue >> 1);
    this.net = new NetPort(place, { processorOf, roleOf: pairRole }, fabric);
    this.net.setGro(config.gro);
  }

  /** Throws an OperatorError. Whatever was allocated until then is released by `free`. */
  allocate(): void {
    this.#rooms.allocate(this.#config, this.#pairs);
    const { trace, name } = this.#config;
    if (trace !== undefined) this.#traceFd = openTrace(trace, name);
  }

  /** The memory that a source may map rings of the kernel into. */
  get file(): PortFile {
    return this.#rooms.file;
  }

  /** The attached wires. */
  get wires(): Wires | null {
    return this.#wires;
  }

  /** Attaches the wires and starts the rings: all of them, or an error is thrown and none. */
  async attach(wires: Wires): Promise<void> {
    this.#wires = wires;
    try {
      await this.#attach(wires);
    } catch (error) {
      await this.detach();
      throw error;
    }
  }

  async #attach(wires: Wires): Promise<void> {
    await this.net.rings.setMemory(this.#rooms.regions(wires.settings));
    for (const { processor, ...wire } of this.#wireViews()) {
      const message = { kind: 'attach-port', port: this.#place.port, ...wire } as const;
      await this.#fabric.post(processor, message);
    }
    const features = featuresOf(wires.capabilities);
    for (let queue = 0; queue < this.#pairs * 2; queue++) {
      const setup = portRingSetup(queue, this.#rooms.callFds);
      const problem = await this.net.rings.start(queue, setup, this.#rooms.memory, features);
      if (problem !== null) throw new Error(problem === 'nowhere' ? problem : problem.reason);
    }
  }

  /** Afterwards nothing refers to memory or descriptors of the wires. The source may close them. */
  async detach(): Promise<void> {
    const wires = this.#wires;
    if (wires === null) return;
    this.#wires = null;
    const detach = wires.settings.map((wire, pair) => () => {
      const pin = this.#rooms.pinOf(pair, wire);
      const message = { kind: 'detach-port', port: this.#place.port, pair, pin } as const;
      return this.#fabric.post(this.#processorOf(pair), message);
    });
    await everyStep(`detach the wires of ${this.#config.name}`, [
      () => this.net.rings.stopAll(),
      () => this.net.setLink(true),
      ...detach,
      () => this.net.rings.setMemory([]),
    ]);
  }

  /** After `detach`. */
  free(): void {
    this.#rooms.free();
    closeFd(this.#traceFd);
  }

  save(): WiredPortState {
    return { rooms: this.#rooms.save(), traceFd: this.#traceFd, net: this.net.save() };
  }

  /** Takes over what a saved port had allocated: before the source is restored. */
  restoreRooms({ rooms, traceFd }: WiredPortState): void {
    this.#traceFd = traceFd;
    this.#rooms.restore(rooms);
  }

  /** Then its rings and wires. Without wires the port starts with no rings and its link up. */
  restoreRings({ net }: WiredPortState, wires: Wires | null): void {
    this.#wires = wires;
    const { rings, isLinkUp, ...rest } = net;
    const [running, link] = wires === null ? [NO_RINGS, true] : [rings, isLinkUp];
    const setupOf = (queue: number) => portRingSetup(queue, this.#rooms.callFds);
    this.net.restore({ ...rest, rings: running, isLinkUp: link }, setupOf);
  }

  view(): FunctionView {
    return { ...this.net.view(), wires: this.#wireViews() };
  }

  #wireViews(): WireView[] {
    const { faults } = this.#config;
    const mtu = this.#wires?.capabilities.mtu ?? 0;
    const traceFd = this.#traceFd === -1 ? undefined : this.#traceFd;
    return (this.#wires?.settings ?? []).map((settings, pair) => ({
      ...{ pair, mtu, wire: { ...settings, faults, traceFd } },
      processor: this.#processorOf(pair),
      receiveRing: this.#place.ringBlock.first + 2 * pair,
      pin: this.#rooms.pinOf(pair, settings),
      callFd: this.#rooms.callFdOf(pair),
    }));
  }

  queueStats(): QueueStats[] {
    return readQueues(this.#fabric.shared, this.#place.ringBlock.first, this.#pairs);
  }

  wireStats(): WireStats {
    return readWireStats(this.#rooms.fd, this.#pairs);
  }

  /** The processors that serve its queue pairs: consecutive ones, starting with the port's own. */
  processors(): number[] {
    return Array.from({ length: this.#pairs }, (_, pair) => this.#processorOf(pair));
  }

  healths(): ProcessorHealth[] {
    return this.processors().map((index) => this.#fabric.healthOf(index));
  }

  #processorOf(pair: number): number {
    return (this.#place.processor + pair) % this.#fabric.processorCount;
  }
}
