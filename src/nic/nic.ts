import { EventEmitter } from 'node:events';
import { CONTROL_QUEUE } from '../../layout/limits.ts';
import { VLAN_ANY } from '../../layout/switch.ts';
import { everyStep, type Failure, guarded, inBackground, onFailure } from '../background.ts';
import {
  actionText,
  applyActions,
  diffConfig,
  diffUplink,
  diffVf,
  withVmm,
} from '../config/diff.ts';
import { withAdded } from '../config/reload.ts';
import type { Action, NicConfig } from '../config/types.ts';
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
import type { EventOf } from '../events.ts';
import type { VfChanges, VfConfig } from '../functions/net/config.ts';
import type { VfInfo } from '../functions/net/types.ts';
import { Vf } from '../functions/net/vf.ts';
import type { FunctionInfo } from '../functions/types.ts';
import { monotonicSeconds } from '../os/clock.ts';
import { acquirePoller, type Poller, releasePoller } from '../os/poller.ts';
import {
  checkAddressSpace,
  descriptorQuota,
  mappingBudget,
  takeProcessorMappings,
} from '../processor/budgets.ts';
import type { NicFunction } from '../processor/fabric.ts';
import { ProcessorSet } from '../processor/processor-set.ts';
import { RateLimit, withHeldBack } from '../rate-limit.ts';
import { readMacTable } from '../state/mac-table.ts';
import type { UplinkConfig } from '../uplinks/config.ts';
import type { UplinkInfo } from '../uplinks/types.ts';
import { ChangeQueue, nameIn } from './change-queue.ts';
import { Places } from './places.ts';
import { RngSet } from './rng-set.ts';
import { saveNic } from './save.ts';
import type { FdbEntry, Nic, NicEventName, NicEvents, NicListener, NicStats } from './types.ts';
import { UplinkSet } from './uplink-set.ts';

/** Mistakes of ours come in swarms, too: the first few say what there is to know. */
const FAILURE_LIMIT = { burst: 16, seconds: 10 };

/** Builds a NIC from a configuration and opens it: every socket listens when this resolves. */
export async function createNic(input: unknown): Promise<Nic> {
  const config = completeNic(input);
  checkAddressSpace(config.processors);
  const nic = new SoftwareNic(config);
  try {
    await nic.open(config);
  } catch (error) {
    await nic.close();
    throw error;
  }
  return nic;
}

/** One NIC: its processors, its VFs, and one change at a time. */
class SoftwareNic implements Nic {
  readonly #settings: Omit<NicConfig, 'vfs' | 'uplinks' | 'rngs'>;
  readonly #vfs = new Map<string, Vf>();
  /** What its processors take of the mappings of this process. */
  readonly #mappings: number;
  readonly #poller: Poller;
  readonly #events = new EventEmitter();
  readonly #processors: ProcessorSet;
  readonly #places: Places;
  readonly #uplinks: UplinkSet;
  readonly #rngs: RngSet;
  readonly #startSeconds = monotonicSeconds();
  /** What the configuration file said when it was last applied. */
  #fileConfig: NicConfig;
  readonly #changes = new ChangeQueue({
    onOverdue: (reason) => this.#emit('change-overdue', { nic: this.name, reason }),
  });
  readonly #failureLimit = new RateLimit({ ...FAILURE_LIMIT, now: monotonicSeconds });
  readonly #stopListening = onFailure((failure) => this.#tellFailure(failure));

  constructor(config: NicConfig) {
    this.#mappings = takeProcessorMappings(config.processors);
    this.#poller = acquirePoller();
    const { vfs: _, uplinks: __, rngs: ___, ...settings } = config;
    this.#settings = settings;
    this.#fileConfig = config;
    this.#processors = new ProcessorSet(settings, {
      functions: () => this.#all(),
      onUplinkLost: (port, reason) => this.#uplinks.onLost(port, reason),
      onUplinkLoop: (port, other) => this.#uplinks.onLoop(port, other),
      onBroken: (reason) => this.#emit('internal-error', { nic: this.name, reason }),
    });
    this.#places = new Places(this.#processors);
    this.#rngs = new RngSet(
      this.#processors,
      this.#places,
      this.#poller,
      (event) => this.#emit('function', event),
      () => this.#functionCount,
    );
    this.#uplinks = new UplinkSet(this.#processors, this.#poller, (...event) => {
      this.#emit(...event);
      inBackground('tell the VFs of the uplinks', this.#followUplinks());
    });
  }

  get name(): string {
    return this.#settings.name;
  }

  async open({ vfs, uplinks, rngs }: NicConfig): Promise<void> {
    await this.#processors.start();
    for (const uplink of uplinks) await this.#addUplink(uplink);
    for (const vf of vfs) await this.#add(vf);
    for (const rng of rngs) this.#rngs.add(rng);
  }

  #all(): NicFunction[] {
    return [...this.#vfs.values(), ...this.#rngs.all(), ...this.#uplinks.all()];
  }

  /** Those that a front-end attaches to. */
  get #functionCount(): number {
    return this.#vfs.size + this.#rngs.all().length;
  }

  functions(): FunctionInfo[] {
    return this.#rngs.all().map((rng) => rng.info());
  }

  vfs(): VfInfo[] {
    return [...this.#vfs.values()].map((vf) => vf.info());
  }

  vf(name: string): VfInfo {
    return this.#find(name).info();
  }

  addVf(input: unknown): Promise<VfInfo> {
    return this.#changes.run(`add VF ${nameIn(input)}`, async () => {
      const config = completeVf(input, this.name);
      checkNewVf(config, this.config());
      await this.#add(config);
      return this.vf(config.name);
    });
  }

  removeVf(name: string): Promise<void> {
    return this.#changes.run(`remove VF ${name}`, () => this.#remove(name));
  }

  setVf(name: string, input: unknown): Promise<VfInfo> {
    return this.#changes.run(`change VF ${name}`, async () => {
      const running = this.#find(name).config;
      const wanted = { ...running, ...completeChanges(input) };
      checkRoomFor(wanted, this.config());
      this.#find(name).quarantine.forgive();
      const action = diffVf(running, wanted);
      if (action !== undefined) await this.#carryOut([this.#fit(action)]);
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
    return this.#changes.run(`add uplink ${nameIn(input)}`, async () => {
      const config = completeUplink(input);
      checkNewUplink(config, this.config());
      await this.#addUplink(config);
      return this.uplink(config.name);
    });
  }

  removeUplink(name: string): Promise<void> {
    return this.#changes.run(`remove uplink ${name}`, () => this.#removeUplink(name));
  }

  setUplink(name: string, changes: object): Promise<UplinkInfo> {
    return this.#changes.run(`change uplink ${name}`, async () => {
      const running = this.#uplinks.find(name).config;
      const wanted = completeUplink({ ...running, ...changes, name, type: running.type });
      const action = diffUplink(running, wanted);
      if (action !== undefined) await this.#carryOut([action]);
      return this.uplink(name);
    });
  }

  apply(input: unknown, options: { dryRun?: boolean } = {}): Promise<Action[]> {
    return this.#changes.run('apply a configuration', async () => {
      const wanted = completeNic(input);
      const actions = diffConfig(this.config(), wanted).map((one) => this.#fit(one));
      if (options.dryRun === true) return actions;
      this.#fileConfig = wanted;
      await this.#carryOut(actions);
      return actions;
    });
  }

  reload(read: () => unknown): Promise<void> {
    return this.#changes.run('apply the configuration file', async () => {
      try {
        const file = completeNic(read());
        const wanted = completeNic(withAdded(file, this.#fileConfig, this.config()));
        const actions = diffConfig(this.config(), wanted).map((one) => this.#fit(one));
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
    const names = new Map(ports.map(({ port, name }) => [port, name]));
    const { shared } = this.#processors;
    const entries = readMacTable(shared.view, monotonicSeconds(), this.#settings.macAgeSeconds);
    // Frames for a port that is down are flooded, whatever was learned there.
    return entries
      .filter(({ port }) => shared.isReceiving(port))
      .map(({ port, vlan, ...entry }) => ({
        ...entry,
        ...(vlan === 0 ? {} : { vlan: vlan === VLAN_ANY ? 'trunk' : vlan }),
        vf: names.get(port) ?? `#${port}`,
      }));
  }

  config(): NicConfig {
    const vfs = [...this.#vfs.values()].map((vf) => vf.config);
    // A copy: whoever changes it to apply it must not change what it is compared with.
    const [uplinks, rngs] = [this.#uplinks.configs(), this.#rngs.configs()];
    return structuredClone({ ...this.#settings, vfs, uplinks, rngs });
  }

  save(): ReturnType<Nic['save']> {
    const configs = { settings: this.#settings, fileConfig: this.#fileConfig };
    const [vfs, uplinks, rngs] = [this.#vfs.values(), this.#uplinks.all(), this.#rngs.all()];
    return saveNic(configs, this.#processors.shared.fd, { vfs, uplinks, rngs });
  }

  injectTrap(name: string, queue: number): Promise<boolean> {
    const { rings } = this.#rngs.find(name) ?? this.#find(name);
    return rings.injectTrap(queue);
  }

  on<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void {
    this.#events.on(event, listener);
  }

  off<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void {
    this.#events.off(event, listener);
  }

  close(): Promise<void> {
    return this.#changes.close(async () => {
      const vfs = [...this.#vfs.keys()].map((name) => () => this.#remove(name));
      const uplinks = this.#uplinks.all().map((uplink) => () => this.#removeUplink(uplink.name));
      const rngs = this.#rngs.all().map((rng) => () => this.#rngs.remove(rng.name));
      const stop = () => this.#processors.stop();
      const giveBack = () => mappingBudget().give(this.#mappings);
      await everyStep('close the NIC', [
        ...vfs,
        ...rngs,
        ...uplinks,
        stop,
        giveBack,
        releasePoller,
      ]);
      this.#stopListening();
    });
  }

  /** An action as the VMM of its VF, if there is one, lets it be. */
  #fit(action: Action): Action {
    if (action.type !== 'replace-vf') return action;
    const vf = this.#find(action.name);
    return withVmm(action, vf.vmmFor(action.vf));
  }

  #carryOut(actions: readonly Action[]): Promise<void> {
    return applyActions(actions, {
      removeVf: (name) => this.#remove(name),
      addVf: (vf) => this.#add(vf),
      removeUplink: (name) => this.#removeUplink(name),
      addUplink: (uplink) => this.#addUplink(uplink),
      removeRng: (name) => this.#rngs.remove(name),
      addRng: async (rng) => this.#rngs.add(rng),
      setUplink: (uplink) => this.#uplinks.find(uplink.name).change(uplink),
      setVf: (vf: VfConfig, _changes: VfChanges) => this.#find(vf.name).change(vf),
      setNic: ({ macAgeSeconds }) => {
        this.#settings.macAgeSeconds = macAgeSeconds;
        return this.#processors.broadcast({ kind: 'set-mac-age', seconds: macAgeSeconds });
      },
    });
  }

  async #addUplink(config: UplinkConfig): Promise<void> {
    const place = this.#places.forPort('queues' in config ? 2 * config.queues : 2);
    try {
      await this.#uplinks.add(config, place);
    } catch (error) {
      this.#places.free(place);
      throw error;
    }
    await this.#followUplinks();
  }

  async #removeUplink(name: string): Promise<void> {
    const uplink = this.#uplinks.find(name);
    await this.#uplinks.remove(name);
    this.#places.free(uplink);
    await this.#followUplinks();
  }

  async #add(config: VfConfig): Promise<void> {
    const place = {
      ...this.#places.forPort(CONTROL_QUEUE + 1),
      hasUplink: this.#uplinks.isAnyUp,
      descriptorQuota: () =>
        descriptorQuota({ functions: this.#functionCount, queuePairs: config.queuePairs }),
    };
    const vf = new Vf(config, place, this.#processors, this.#poller, (...event) =>
      this.#emit(...event),
    );
    // Before it opens: a processor may report on it, or die, in between.
    this.#vfs.set(config.name, vf);
    try {
      await vf.open();
    } catch (error) {
      this.#vfs.delete(config.name);
      this.#places.free(place);
      throw error;
    }
  }

  async #remove(name: string): Promise<void> {
    const vf = this.#find(name);
    this.#vfs.delete(name);
    await vf.close();
    this.#places.free(vf);
  }

  #find(name: string): Vf {
    const vf = this.#vfs.get(name);
    if (vf === undefined) throw operatorError('HEDDLE_VF_NOT_FOUND', { vf: name });
    return vf;
  }

  /** Ends when every VF has the link that its configuration and the uplinks give it. */
  async #followUplinks(): Promise<void> {
    const hasUplink = this.#uplinks.isAnyUp;
    await Promise.all([...this.#vfs.values()].map((vf) => vf.follow(hasUplink)));
  }

  #tellFailure({ what, error }: Failure): void {
    const heldBack = this.#failureLimit.admit();
    if (heldBack === null) return;
    const reason = withHeldBack(`cannot ${what}: ${error.message}`, heldBack);
    this.#emit('internal-error', { nic: this.name, reason });
  }

  #emit(...[event, detail]: EventOf<NicEvents>): void {
    // Each for itself: the listeners are not ours.
    for (const listener of this.#events.listeners(event)) {
      guarded(`tell a listener of "${event}"`, () => listener(detail));
    }
  }
}
