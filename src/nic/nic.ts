import { EventEmitter } from 'node:events';
import { VLAN_ANY } from '../../layout/switch.ts';
import { everyStep, type Failure, guarded, inBackground, onFailure } from '../background.ts';
import { applyActions } from '../config/apply-actions.ts';
import { actionText, diffConfig, diffUplink, diffVf, withVmm } from '../config/diff.ts';
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
import type { VfInfo } from '../functions/net/types.ts';
import type { Vf } from '../functions/net/vf.ts';
import type { FunctionInfo } from '../functions/types.ts';
import { monotonicSeconds } from '../os/clock.ts';
import { acquirePoller, type Poller, releasePoller } from '../os/poller.ts';
import { checkAddressSpace, mappingBudget, takeProcessorMappings } from '../processor/budgets.ts';
import type { NicFunction } from '../processor/fabric.ts';
import { ProcessorSet } from '../processor/processor-set.ts';
import { RateLimit, withHeldBack } from '../rate-limit.ts';
import { readMacTable } from '../state/mac-table.ts';
import type { Uplink } from '../uplinks/running-uplink.ts';
import type { UplinkInfo } from '../uplinks/types.ts';
import { ChangeQueue, nameIn } from './change-queue.ts';
import { createKinds, eachKind, type Kinds } from './kinds.ts';
import { Places } from './places.ts';
import type {
  FdbEntry,
  Nic,
  NicEventName,
  NicEvents,
  NicListener,
  NicState,
  NicStats,
} from './types.ts';

/** Mistakes of ours come in swarms, too: the first few say what there is to know. */
const FAILURE_LIMIT = { burst: 16, seconds: 10 };

/** Builds a NIC from a configuration and opens it: every socket listens when this resolves. */
export async function createNic(input: unknown): Promise<Nic> {
  const config = completeNic(input);
  checkAddressSpace(config.processors);
  const { vfs: _, uplinks: __, rngs: ___, ...settings } = config;
  const nic = new SoftwareNic(settings, config);
  try {
    await nic.open(config);
  } catch (error) {
    await nic.close();
    throw error;
  }
  return nic;
}

/**
 * A NIC that goes on with what another one handed over: its guests, their rings and uplinks notice
 * nothing. Takes the descriptors of the state, which stay open if this fails.
 */
export async function restoreNic(state: NicState): Promise<Nic> {
  const { settings, fileConfig, sharedFd } = structuredClone(state);
  checkAddressSpace(settings.processors);
  const nic = new SoftwareNic(settings, fileConfig, sharedFd);
  try {
    await nic.restore(state);
  } catch (error) {
    await nic.handOver();
    throw error;
  }
  return nic;
}

/** One NIC: its processors, its VFs, and one change at a time. */
class SoftwareNic implements Nic {
  readonly #settings: NicState['settings'];
  /** What its processors take of the mappings of this process. */
  readonly #mappings: number;
  readonly #poller: Poller;
  readonly #events = new EventEmitter();
  readonly #processors: ProcessorSet;
  readonly #kinds: Kinds;
  readonly #startSeconds = monotonicSeconds();
  /** What the configuration file said when it was last applied. */
  #fileConfig: NicConfig;
  readonly #changes = new ChangeQueue({
    onOverdue: (reason) => this.#emit('change-overdue', { nic: this.name, reason }),
  });
  readonly #failureLimit = new RateLimit({ ...FAILURE_LIMIT, now: monotonicSeconds });
  readonly #stopListening = onFailure((failure) => this.#tellFailure(failure));

  /** `sharedFd`: what the processors of another NIC have shared. */
  constructor(settings: NicState['settings'], fileConfig: NicConfig, sharedFd?: number) {
    this.#mappings = takeProcessorMappings(settings.processors);
    this.#poller = acquirePoller();
    this.#settings = settings;
    this.#fileConfig = fileConfig;
    this.#processors = new ProcessorSet(
      { ...settings, sharedFd },
      {
        functions: () => this.#all(),
        onUplinkLost: (port, reason) => this.#kinds.uplinks.onLost(port, reason),
        onUplinkLoop: (port, other) => this.#kinds.uplinks.onLoop(port, other),
        onBroken: (reason) => this.#emit('internal-error', { nic: this.name, reason }),
      },
    );
    const around = {
      fabric: this.#processors,
      places: new Places(this.#processors),
      poller: this.#poller,
      functionCount: () => this.#kinds.vfs.size + this.#kinds.rngs.size,
    };
    this.#kinds = createKinds(around, {
      onVf: (...event) => this.#emit(...event),
      onFunction: (event) => this.#emit('function', event),
      onUplinks: () => this.#followUplinks(),
      onUplink: (...event) => {
        this.#emit(...event);
        inBackground('tell the VFs of the uplinks', this.#followUplinks());
      },
    });
  }

  get name(): string {
    return this.#settings.name;
  }

  async open(config: NicConfig): Promise<void> {
    await this.#processors.start();
    for (const [name, kind] of eachKind(this.#kinds).reverse()) {
      for (const one of config[name]) await kind.add(one);
    }
  }

  /** In place of `open`. */
  async restore(state: NicState): Promise<void> {
    const now = performance.now();
    // Up to where processors are told of everything, nothing else may happen in between.
    for (const [name, kind] of eachKind(this.#kinds).reverse()) kind.restore(state[name], now);
    await this.#processors.start();
    for (const uplink of this.#kinds.uplinks.all()) await uplink.settled();
    await this.#followUplinks();
  }

  #all(): NicFunction[] {
    return eachKind(this.#kinds).flatMap(([, kind]) => kind.all());
  }

  functions(): FunctionInfo[] {
    return this.#kinds.rngs.all().map((rng) => rng.info());
  }

  vfs(): VfInfo[] {
    return this.#kinds.vfs.all().map((vf) => vf.info());
  }

  vf(name: string): VfInfo {
    return this.#find(name).info();
  }

  addVf(input: unknown): Promise<VfInfo> {
    return this.#changes.run(`add VF ${nameIn(input)}`, async () => {
      const config = completeVf(input, this.name);
      checkNewVf(config, this.config());
      await this.#kinds.vfs.add(config);
      return this.vf(config.name);
    });
  }

  removeVf(name: string): Promise<void> {
    return this.#changes.run(`remove VF ${name}`, async () => {
      this.#find(name);
      await this.#kinds.vfs.remove(name);
    });
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
    return this.#kinds.uplinks.all().map((uplink) => uplink.info());
  }

  uplink(name: string): UplinkInfo {
    return this.#findUplink(name).info();
  }

  addUplink(input: unknown): Promise<UplinkInfo> {
    return this.#changes.run(`add uplink ${nameIn(input)}`, async () => {
      const config = completeUplink(input);
      checkNewUplink(config, this.config());
      await this.#kinds.uplinks.add(config);
      return this.uplink(config.name);
    });
  }

  removeUplink(name: string): Promise<void> {
    return this.#changes.run(`remove uplink ${name}`, async () => {
      this.#findUplink(name);
      await this.#kinds.uplinks.remove(name);
    });
  }

  setUplink(name: string, changes: object): Promise<UplinkInfo> {
    return this.#changes.run(`change uplink ${name}`, async () => {
      const running = this.#findUplink(name).config;
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
    const vfs = this.#kinds.vfs.all();
    return {
      name: this.name,
      uptimeSeconds: monotonicSeconds() - this.#startSeconds,
      vfs: vfs.map((vf) => vf.stats()),
      uplinks: this.#kinds.uplinks.all().map((uplink) => uplink.stats()),
      processors: this.#processors.stats(),
    };
  }

  fdb(): FdbEntry[] {
    const ports = [...this.#kinds.vfs.all(), ...this.#kinds.uplinks.all()];
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
    const { vfs, uplinks, rngs } = this.#kinds;
    const lists = { vfs: vfs.configs(), uplinks: uplinks.configs(), rngs: rngs.configs() };
    // A copy: whoever changes it to apply it must not change what it is compared with.
    return structuredClone({ ...this.#settings, ...lists });
  }

  save(): NicState {
    const now = performance.now();
    const { vfs, uplinks, rngs } = this.#kinds;
    return {
      ...structuredClone({ settings: this.#settings, fileConfig: this.#fileConfig }),
      sharedFd: this.#processors.shared.fd,
      ...{ vfs: vfs.save(now), uplinks: uplinks.save(now), rngs: rngs.save(now) },
    };
  }

  injectTrap(name: string, queue: number): Promise<boolean> {
    const { rings } = this.#kinds.rngs.find(name) ?? this.#find(name);
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
      const kinds = eachKind(this.#kinds);
      const functions = kinds.flatMap(([, kind]) =>
        kind.all().map(
          ({ name }) =>
            () =>
              kind.remove(name),
        ),
      );
      await everyStep('close the NIC', [...functions, () => this.#processors.stop()]);
      this.#release();
    });
  }

  async handOver(): Promise<NicState> {
    let state: NicState | undefined;
    await this.#changes.close(async () => {
      const kinds = eachKind(this.#kinds).map(([, kind]) => kind);
      await everyStep('hand the NIC over', [
        ...kinds.map((kind) => () => kind.handOver()),
        () => this.#processors.handOver(),
        ...kinds.map((kind) => () => kind.leave()),
      ]);
      state = this.save();
      this.#release();
    });
    if (state === undefined) throw operatorError('HEDDLE_NIC_CLOSED', { change: 'hand it over' });
    return state;
  }

  #release(): void {
    mappingBudget().give(this.#mappings);
    releasePoller();
    this.#stopListening();
  }

  /** An action as the VMM of its VF, if there is one, lets it be. */
  #fit(action: Action): Action {
    if (action.type !== 'replace-vf') return action;
    const vf = this.#find(action.name);
    return withVmm(action, vf.vmmFor(action.vf));
  }

  #carryOut(actions: readonly Action[]): Promise<void> {
    return applyActions(actions, {
      ...this.#kinds,
      setNic: ({ macAgeSeconds }) => {
        this.#settings.macAgeSeconds = macAgeSeconds;
        return this.#processors.broadcast({ kind: 'set-mac-age', seconds: macAgeSeconds });
      },
    });
  }

  #find(name: string): Vf {
    const vf = this.#kinds.vfs.find(name);
    if (vf === undefined) throw operatorError('HEDDLE_VF_NOT_FOUND', { vf: name });
    return vf;
  }

  #findUplink(name: string): Uplink {
    const uplink = this.#kinds.uplinks.find(name);
    if (uplink === undefined) throw operatorError('HEDDLE_UPLINK_NOT_FOUND', { uplink: name });
    return uplink;
  }

  /** Ends when every VF has the link that its configuration and the uplinks give it. */
  async #followUplinks(): Promise<void> {
    const hasUplink = this.#kinds.uplinks.isAnyUp;
    await Promise.all(this.#kinds.vfs.all().map((vf) => vf.follow(hasUplink)));
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
