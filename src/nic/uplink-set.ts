import type { Poller } from '../os/poller.ts';
import type { Fabric, PortPlace } from '../processor/fabric.ts';
import type { UplinkConfig } from '../uplinks/config.ts';
import { InterfaceWatch } from '../uplinks/interface-watch.ts';
import { Uplink } from '../uplinks/running-uplink.ts';
import { createSource } from '../uplinks/sources.ts';
import type { UplinkEmit } from '../uplinks/types.ts';
import type { UplinkState } from '../uplinks/uplink-state.ts';
import { FunctionSet } from './function-set.ts';
import type { Places } from './places.ts';

interface Surroundings {
  fabric: Fabric;
  places: Places;
  poller: Poller;
  writePromises(): Promise<void>;
}

/** The uplinks of a NIC. */
export class UplinkSet extends FunctionSet<UplinkConfig, PortPlace, UplinkState, Uplink> {
  readonly #onChange: () => Promise<void>;

  /** `onChange`: an uplink was added or removed. */
  constructor(
    { fabric, places, poller, writePromises }: Surroundings,
    emit: UplinkEmit,
    onChange: () => Promise<void>,
  ) {
    const watch = new InterfaceWatch(poller);
    super(places, {
      place: (config) => places.forPort('queues' in config ? 2 * config.queues : 2),
      make: (config, place) => {
        const source = createSource(config, { poller, watch });
        return new Uplink(config, place, fabric, source, emit, (work) => poller.whenOpen(work));
      },
      writePromises,
    });
    this.#onChange = onChange;
  }

  override async add(config: UplinkConfig): Promise<void> {
    await super.add(config);
    await this.#onChange();
  }

  override async remove(name: string): Promise<void> {
    await super.remove(name);
    await this.#onChange();
  }

  /** True also without uplinks: there is none to wait for. */
  get isAnyUp(): boolean {
    return this.size === 0 || this.all().some((uplink) => uplink.isUp);
  }

  /** If two uplinks lead into one network, the one that was added first stays up. */
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
