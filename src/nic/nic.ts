import { EventEmitter } from 'node:events';
import { VF_COUNT_MAX } from '../../layout/limits.ts';
import { VLAN_ANY } from '../../layout/switch.ts';
import { guarded, inBackground } from '../background.ts';
import { actionText, applyActions, diffConfig, diffUplink, diffVf } from '../config/diff.ts';
import { withAdded } from '../config/reload.ts';
import type { Action, NicConfig, UplinkConfig, VfChanges, VfConfig } from '../config/types.ts';
import {
  checkNewUplink,
  checkNewVf,
  checkRoomFor,
  completeChanges,
  completeNic,
  completeUplink,
  completeVf,
} from '../config/validate.ts';
import { asOperatorError, operatorError } from '../errors.ts';
import { monotonicSeconds } from '../os/clock.ts';
import { acquirePoller, releasePoller } from '../os/poller.ts';
import { readMacTable } from '../switch/mac-table.ts';
import { Vf } from '../vf/vf.ts';
import { ProcessorSet } from './processor-set.ts';
import type {
  FdbEntry,
  Nic,
  NicEventName,
  NicEvents,
  NicListener,
  NicStats,
  UplinkInfo,
  VfInfo,
} from './types.ts';
import { UplinkSet } from './uplink-set.ts';

/** Builds a NIC from a configuration and opens it: every socket listens when this resolves. */
export async function createNic(input: unknown): Promise<Nic> {
  const config = completeNic(input);
  const nic = new SoftwareNic(config);
  try {
    await nic.open(config.vfs, config.uplinks);
  } catch (error) {
    await nic.close();
    throw error;
  }
  return nic;
}

/** One NIC: its processors, its VFs, and one change at a time. */
class SoftwareNic implements Nic {
  readonly #settings: Omit<NicConfig, 'vfs' | 'uplinks'>;
  readonly #vfs = new Map<string, Vf>();
  readonly #poller = acquirePoller();
  readonly #events = new EventEmitter();
  readonly #processors: ProcessorSet;
  readonly #uplinks: UplinkSet;
  readonly #startSeconds = monotonicSeconds();
  /** What the configuration file said when it was last applied. */
  #fileConfig: NicConfig;
  #lastChange: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(config: NicConfig) {
    const { vfs: _, uplinks: __, ...settings } = config;
    this.#settings = settings;
    this.#fileConfig = config;
    this.#processors = new ProcessorSet(settings, {
      ports: () => [...this.#vfs.values(), ...this.#uplinks.all()],
      onUplinkLost: (number, reason) => this.#uplinks.onLost(number, reason),
      onBroken: (reason) => {
        for (const name of this.#vfs.keys()) this.#emit('fault', { vf: name, reason });
      },
    });
    this.#uplinks = new UplinkSet(this.#processors, this.#poller, (event, detail) => {
      this.#emit(event, detail);
      inBackground('tell the VFs of the uplinks', this.#followUplinks());
    });
  }

  get name(): string {
    return this.#settings.name;
  }

  async open(vfs: readonly VfConfig[], uplinks: readonly UplinkConfig[]): Promise<void> {
    await this.#processors.start();
    for (const uplink of uplinks) await this.#addUplink(uplink);
    for (const vf of vfs) await this.#add(vf);
  }

  vfs(): VfInfo[] {
    return [...this.#vfs.values()].map((vf) => vf.info());
  }

  vf(name: string): VfInfo {
    return this.#find(name).info();
  }

  addVf(input: unknown): Promise<VfInfo> {
    return this.#change(async () => {
      const config = completeVf(input, this.name);
      checkNewVf(config, this.config());
      await this.#add(config);
      return this.vf(config.name);
    });
  }

  removeVf(name: string): Promise<void> {
    return this.#change(() => this.#remove(name));
  }

  setVf(name: string, input: unknown): Promise<VfInfo> {
    return this.#change(async () => {
      const running = this.#find(name).config;
      const wanted = { ...running, ...completeChanges(input) };
      checkRoomFor(wanted, this.config());
      const action = diffVf(running, wanted);
      if (action !== undefined) await this.#carryOut([action]);
      return this.vf(name);
    });
  }

  uplinks(): UplinkInfo[] {
    return this.#uplinks.all().map((uplink) => uplink.info());
  }

  uplink(name: string): UplinkInfo {
    return this.#uplinks.find(name).info();
  }

  addUplink(input: unknown): Promise<UplinkInfo> {
    return this.#change(async () => {
      const config = completeUplink(input);
      checkNewUplink(config, this.config());
      await this.#addUplink(config);
      return this.uplink(config.name);
    });
  }

  removeUplink(name: string): Promise<void> {
    return this.#change(() => this.#removeUplink(name));
  }

  setUplink(name: string, changes: object): Promise<UplinkInfo> {
    return this.#change(async () => {
      const running = this.#uplinks.find(name).config;
      const wanted = completeUplink({ ...running, ...changes, name, type: running.type });
      const action = diffUplink(running, wanted);
      if (action !== undefined) await this.#carryOut([action]);
      return this.uplink(name);
    });
  }

  apply(input: unknown, options: { dryRun?: boolean } = {}): Promise<Action[]> {
    return this.#change(async () => {
      const wanted = completeNic(input);
      const actions = diffConfig(this.config(), wanted);
      if (options.dryRun === true) return actions;
      this.#fileConfig = wanted;
      await this.#carryOut(actions);
      return actions;
    });
  }

  reload(read: () => unknown): Promise<void> {
    return this.#change(async () => {
      try {
        const file = completeNic(read());
        const wanted = completeNic(withAdded(file, this.#fileConfig, this.config()));
        const actions = diffConfig(this.config(), wanted);
        this.#fileConfig = file;
        await this.#carryOut(actions);
        this.#emit('config-applied', { nic: this.name, changes: actions.map(actionText) });
      } catch (error) {
        const known = asOperatorError(error);
        if (known === undefined) throw error;
        const reason = [known, ...known.also].map(({ message }) => message).join('; ');
        this.#emit('config-refused', { nic: this.name, reason });
      }
    });
  }

  stats(): NicStats {
    const vfs = [...this.#vfs.values()];
    return {
      name: this.name,
      uptimeSeconds: monotonicSeconds() - this.#startSeconds,
      vfs: vfs.map((vf) => vf.stats()),
      uplinks: this.#uplinks.all().map((uplink) => uplink.stats()),
      processors: this.#processors.stats(),
    };
  }

  fdb(): FdbEntry[] {
    const ports = [...this.#vfs.values(), ...this.#uplinks.all()];
    const names = new Map(ports.map((port) => [port.number, port.name]));
    const { view } = this.#processors.shared;
    return readMacTable(view, monotonicSeconds(), this.#settings.macAgeSeconds).map(
      ({ port, vlan, ...entry }) => ({
        ...entry,
        ...(vlan === 0 ? {} : { vlan: vlan === VLAN_ANY ? 'trunk' : vlan }),
        vf: names.get(port) ?? `#${port}`,
      }),
    );
  }

  config(): NicConfig {
    const vfs = [...this.#vfs.values()].map((vf) => vf.config);
    return { ...this.#settings, vfs, uplinks: this.#uplinks.configs() };
  }

  injectTrap(name: string, queue: number): Promise<boolean> {
    return this.#find(name).rings.injectTrap(queue);
  }

  on<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void {
    this.#events.on(event, listener);
  }

  off<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void {
    this.#events.off(event, listener);
  }

  close(): Promise<void> {
    return this.#change(async () => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      for (const name of [...this.#vfs.keys()]) await this.#remove(name);
      for (const { name } of this.#uplinks.configs()) await this.#uplinks.remove(name);
      await this.#processors.stop();
      releasePoller();
    });
  }

  /** Changes come one after another, whoever asks for them. */
  #change<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(work, work);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }

  #carryOut(actions: readonly Action[]): Promise<void> {
    return applyActions(actions, {
      removeVf: (name) => this.#remove(name),
      addVf: (vf) => this.#add(vf),
      removeUplink: (name) => this.#removeUplink(name),
      addUplink: (uplink) => this.#addUplink(uplink),
      setUplink: (uplink) => this.#uplinks.find(uplink.name).change(uplink),
      setVf: (vf: VfConfig, _changes: VfChanges) => this.#find(vf.name).change(vf),
      setNic: ({ macAgeSeconds }) => {
        this.#settings.macAgeSeconds = macAgeSeconds;
        return this.#processors.broadcast({ kind: 'set-mac-age', seconds: macAgeSeconds });
      },
    });
  }

  async #addUplink(config: UplinkConfig): Promise<void> {
    const number = this.#freeNumber();
    this.#processors.shared.clearVf(number);
    await this.#uplinks.add(config, { number, processor: this.#processors.leastLoaded() });
    await this.#followUplinks();
  }

  async #removeUplink(name: string): Promise<void> {
    await this.#uplinks.remove(name);
    await this.#followUplinks();
  }

  async #add(config: VfConfig): Promise<void> {
    const number = this.#freeNumber();
    const processor = this.#processors.leastLoaded();
    this.#processors.shared.clearVf(number);
    const place = { number, processor, hasUplink: this.#uplinks.isAnyUp };
    const vf = new Vf(config, place, this.#processors, this.#poller, (event, detail) =>
      this.#emit(event, detail),
    );
    await vf.open();
    this.#vfs.set(config.name, vf);
  }

  async #remove(name: string): Promise<void> {
    const vf = this.#find(name);
    this.#vfs.delete(name);
    await vf.close();
  }

  #find(name: string): Vf {
    const vf = this.#vfs.get(name);
    if (vf === undefined) throw operatorError('HEDDLE_VF_NOT_FOUND', { vf: name });
    return vf;
  }

  #freeNumber(): number {
    const ports = [...this.#vfs.values(), ...this.#uplinks.all()];
    const used = new Set(ports.map((port) => port.number));
    for (let number = 0; number < VF_COUNT_MAX; number++) {
      if (!used.has(number)) return number;
    }
    throw operatorError('HEDDLE_TOO_MANY_VFS', { limit: VF_COUNT_MAX, received: VF_COUNT_MAX + 1 });
  }

  /** Ends when every VF has the link that its configuration and the uplinks give it. */
  async #followUplinks(): Promise<void> {
    const hasUplink = this.#uplinks.isAnyUp;
    await Promise.all([...this.#vfs.values()].map((vf) => vf.follow(hasUplink)));
  }

  #emit<Name extends NicEventName>(event: Name, detail: NicEvents[Name]): void {
    // Each for itself: the listeners are not ours.
    for (const listener of this.#events.listeners(event)) {
      guarded(`tell a listener of "${event}"`, () => listener(detail));
    }
  }
}
