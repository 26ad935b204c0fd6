import { operatorError } from '../errors.ts';
import type { Poller } from '../os/poller.ts';
import type { Fabric, PortPlace } from '../processor/fabric.ts';
import type { UplinkConfig } from '../uplinks/config.ts';
import { InterfaceWatch } from '../uplinks/interface-watch.ts';
import { Uplink } from '../uplinks/running-uplink.ts';
import { createSource } from '../uplinks/sources.ts';
import type { UplinkEmit } from '../uplinks/types.ts';

/** The uplinks of a NIC. */
export class UplinkSet {
  readonly #uplinks = new Map<string, Uplink>();
  readonly #fabric: Fabric;
  readonly #poller: Poller;
  readonly #watch: InterfaceWatch;
  readonly #emit: UplinkEmit;

  constructor(fabric: Fabric, poller: Poller, emit: UplinkEmit) {
    this.#fabric = fabric;
    this.#poller = poller;
    this.#watch = new InterfaceWatch(poller);
    this.#emit = emit;
  }

  all(): Uplink[] {
    return [...this.#uplinks.values()];
  }

  /** True if there is none: a NIC without uplinks does not wait for one. */
  get isAnyUp(): boolean {
    return this.#uplinks.size === 0 || this.all().some((uplink) => uplink.isUp);
  }

  configs(): UplinkConfig[] {
    return this.all().map((uplink) => uplink.config);
  }

  find(name: string): Uplink {
    const uplink = this.#uplinks.get(name);
    if (uplink === undefined) throw operatorError('HEDDLE_UPLINK_NOT_FOUND', { uplink: name });
    return uplink;
  }

  async add(config: UplinkConfig, place: PortPlace): Promise<void> {
    const source = createSource(config, { poller: this.#poller, watch: this.#watch });
    const uplink = new Uplink(config, place, this.#fabric, source, this.#emit);
    // Before it opens: a processor may report on it, or die, in between.
    this.#uplinks.set(config.name, uplink);
    try {
      await uplink.open();
    } catch (error) {
      this.#uplinks.delete(config.name);
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    const uplink = this.find(name);
    await uplink.close();
    this.#uplinks.delete(name);
  }

  /** Of two that lead into one network, the one that came first goes on. */
  onLoop(port: number, other: number): void {
    const [first, second] = this.all().filter((uplink) => [port, other].includes(uplink.port));
    if (first?.isUp && second?.isUp) second.hold(first.name);
  }

  onLost(port: number, reason: string): void {
    this.all()
      .find((uplink) => uplink.port === port)
      ?.onLost(reason);
  }
}
