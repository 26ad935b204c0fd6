import { NODE_ROOT } from '../../layout/limits.ts';
import { everyStep, inBackground } from '../background.ts';
import { actionText, diffUplink, diffVf } from '../config/diff.ts';
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
import type { VfInfo } from '../functions/net/types.ts';
import type { Vf } from '../functions/net/vf.ts';
import type { FunctionInfo } from '../functions/types.ts';
import { monotonicSeconds } from '../os/clock.ts';
import { checkAddressSpace } from '../processor/budgets.ts';
import type { NicFunction } from '../processor/fabric.ts';
import { ProcessorSet } from '../processor/processor-set.ts';
import { readAccount } from '../state/accounts.ts';
import type { Uplink } from '../uplinks/running-uplink.ts';
import type { UplinkInfo } from '../uplinks/types.ts';
import { ChangeQueue, nameIn } from './change-queue.ts';
import { Configuration } from './configuration.ts';
import { EventHub } from './event-hub.ts';
import { readFdb } from './fdb.ts';
import { createKinds, eachKind, type Kinds } from './kinds.ts';
import { Leases } from './leases.ts';
import { Places } from './places.ts';
import { Schedule } from './schedule.ts';
import type {
  FdbEntry,
  GroupInfo,
  Nic,
  NicEventName,
  NicListener,
  NicState,
  NicStats,
} from './types.ts';

/** Builds a NIC from a configuration and opens it: every socket listens when this resolves. */
export async function createNic(input: unknown): Promise<Nic> {
  const config = completeNic(input);
  checkAddressSpace(config.processors);
  const { groups: _, vfs: __, uplinks: ___, rngs: ____, ...settings } = config;
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
  readonly name: string;
  readonly #leases: Leases;
  readonly #events: EventHub;
  readonly #processors: ProcessorSet;
  readonly #kinds: Kinds;
  readonly #schedule: Schedule;
  readonly #configuration: Configuration;
  readonly #startSeconds = monotonicSeconds();
  readonly #changes = new ChangeQueue({
    onOverdue: (reason) => this.#events.emit('change-overdue', { nic: this.name, reason }),
  });

  /** `sharedFd`: what the processors of another NIC have shared. If it throws, nothing is left. */
  constructor(settings: NicState['settings'], fileConfig: NicConfig, sharedFd?: number) {
    this.name = settings.name;
    const isHeld = sharedFd !== undefined; // until `restore` is certain to succeed
    this.#leases = new Leases(settings.processors, { isHeld });
    this.#events = new EventHub(settings.name);
    try {
      this.#processors = this.#createProcessors({ ...settings, sharedFd });
      this.#schedule = new Schedule(this.#processors, {
        kinds: () => this.#kinds,
        capacity: () => this.#configuration.settings.capacity,
      });
      this.#kinds = this.#createKinds();
      this.#configuration = new Configuration({ settings, fileConfig }, this.#parts);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #createProcessors(settings: ConstructorParameters<typeof ProcessorSet>[0]): ProcessorSet {
    return new ProcessorSet(settings, {
      functions: () => this.#all(),
      onUplinkLost: (port, reason) =>
        this.#leases.poller.whenOpen(() => this.#kinds.uplinks.onLost(port, reason)),
      onUplinkLoop: (port, other) =>
        this.#leases.poller.whenOpen(() => this.#kinds.uplinks.onLoop(port, other)),
      onBroken: (reason) => this.#events.emit('internal-error', { nic: this.name, reason }),
    });
  }

  get #parts() {
    return { kinds: this.#kinds, processors: this.#processors, schedule: this.#schedule };
  }

  #createKinds(): Kinds {
    const around = {
      fabric: this.#processors,
      places: new Places(this.#processors),
      poller: this.#leases.poller,
      functionCount: () => this.#kinds.vfs.size + this.#kinds.rngs.size,
      writePromises: () => this.#schedule.write(),
    };
    return createKinds(around, {
      onVf: (...event) => this.#events.emit(...event),
      onFunction: (event) => this.#events.emit('function', event),
      onUplinks: () => this.#followUplinks(),
      onUplink: (...event) => {
        this.#events.emit(...event);
        inBackground('tell the VFs of the uplinks', this.#followUplinks());
        inBackground('write what an uplink can take', this.#schedule.write());
      },
    });
  }

  async open(config: NicConfig): Promise<void> {
    await this.#processors.start();
    for (const group of config.groups) await this.#schedule.groups.add(group);
    await this.#schedule.write();
    for (const [name, kind] of eachKind(this.#kinds).reverse()) {
      for (const one of config[name]) await kind.add(one);
    }
  }

  /** In place of `open`. */
  async restore(state: NicState): Promise<void> {
    const now = performance.now();
    this.#schedule.groups.restore(state.groups);
    // Until processors are told of everything, nothing else may happen: the poller is held, too.
    for (const [name, kind] of eachKind(this.#kinds).reverse()) kind.restore(state[name], now);
    await this.#schedule.write();
    await this.#processors.start();
    // From here on the state is used, so no failure may lead to a second attempt.
    this.#leases.poller.open();
    await everyStep('follow the uplinks', [
      ...this.#kinds.uplinks.all().map((uplink) => () => uplink.settled()),
      () => this.#followUplinks(),
    ]);
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
      await this.#configuration.change(diffVf(running, wanted));
      return this.vf(name);
    });
  }

  groups(): GroupInfo[] {
    return this.#schedule.groups.infos();
  }

  group(name: string): GroupInfo {
    return this.#schedule.groups.info(name);
  }

  addGroup(input: unknown): Promise<GroupInfo> {
    return this.#changes.run(`add group ${nameIn(input)}`, () =>
      this.#schedule.groups.create(input, this.config()),
    );
  }

  removeGroup(name: string): Promise<void> {
    return this.#changes.run(`remove group ${name}`, () => this.#schedule.groups.remove(name));
  }

  setGroup(name: string, input: unknown): Promise<GroupInfo> {
    return this.#changes.run(`change group ${name}`, () =>
      this.#schedule.groups.edit(name, input, this.config()),
    );
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
      await this.#configuration.change(diffUplink(running, wanted));
      return this.uplink(name);
    });
  }

  apply(input: unknown, options: { dryRun?: boolean } = {}): Promise<Action[]> {
    return this.#changes.run('apply a configuration', () =>
      this.#configuration.apply(input, options),
    );
  }

  reload(read: () => unknown): Promise<void> {
    return this.#changes.run('apply the configuration file', async () => {
      try {
        const actions = await this.#configuration.applyFile(read());
        const changes = actions.map(actionText);
        this.#events.emit('config-applied', { nic: this.name, changes });
      } catch (error) {
        const known = asOperatorError(error);
        if (known === undefined) throw error;
        const reason = [known, ...known.also].map(({ message }) => message).join('; ');
        this.#events.emit('config-refused', { nic: this.name, reason });
      }
    });
  }

  stats(): NicStats {
    const vfs = this.#kinds.vfs.all();
    const { view } = this.#processors.shared;
    return {
      name: this.name,
      uptimeSeconds: monotonicSeconds() - this.#startSeconds,
      account: readAccount(view, NODE_ROOT),
      groups: this.#schedule.groups.stats(),
      vfs: vfs.map((vf) => vf.stats()),
      uplinks: this.#kinds.uplinks.all().map((uplink) => uplink.stats()),
      processors: this.#processors.stats(),
    };
  }

  fdb(): FdbEntry[] {
    const ports = [...this.#kinds.vfs.all(), ...this.#kinds.uplinks.all()];
    return readFdb(this.#processors.shared, ports, this.#configuration.settings.macAgeSeconds);
  }

  config(): NicConfig {
    return this.#configuration.current();
  }

  save(): NicState {
    const now = performance.now();
    const { vfs, uplinks, rngs } = this.#kinds;
    return {
      ...this.#configuration.save(),
      groups: this.#schedule.groups.save(),
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
      this.#schedule.close();
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
    this.#leases.release();
    this.#events.close();
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
}
