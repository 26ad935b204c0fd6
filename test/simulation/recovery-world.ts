import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, isDeepStrictEqual } from 'node:util';
import { onFailure } from '../../src/background.ts';
import { completeUplink, completeVf } from '../../src/config/validate.ts';
import { Vf } from '../../src/functions/net/vf.ts';
import { PinAllocator } from '../../src/memory/pins.ts';
import type { Poller } from '../../src/os/poller.ts';
import { Budget } from '../../src/processor/budgets.ts';
import type { Fabric, NicFunction, PortPlace } from '../../src/processor/fabric.ts';
import { receivingMessages, sendingMessages } from '../../src/processor/function-view.ts';
import { ProcessorSet } from '../../src/processor/processor-set.ts';
import { replaceDescriptors } from '../../src/state/saved.ts';
import { macOf } from '../../src/testing/frames.ts';
import { Random } from '../../src/testing/random.ts';
import { Uplink } from '../../src/uplinks/running-uplink.ts';
import { Knowledge, ScriptedProcessor } from '../support/scripted-processor.ts';
import { ManualPoller, ManualSource } from './manual-parts.ts';
import { RecoveryGuest } from './recovery-guest.ts';

const PROCESSORS = 2;
/** Beyond all descriptors. */
const FAR = 1_000_000;
const VFS = 3;
/** More than a VF has queues. */
const RINGS_EACH = 36;
/** A front-end may have as many messages in its socket that post nothing. */
const IDLE_ROUNDS = 150;
/** With more failures that no ring is to blame for, the set gives the processor up. */
const BLAMELESS_MAX = 3;

/** No poller is held here. */
function atOnce(work: () => void): void {
  work();
}

/**
 * VFs, their front-ends and an uplink, on processors without threads: requests, changes and deaths
 * follow from the seed alone.
 *
 *   step: a front-end sends a request ∣ the NIC reads ∣ a processor handles a message, or fails on
 *         it, or dies ∣ an operator changes a VF ∣ the uplink's link goes up or down
 *
 * Invariants when all is quiet: each processor knows exactly what the state of the ports says, no
 * ring was attached twice, and what a VF reports about its rings is true.
 * was attached twice, and what a VF tells of its rings is true.
 */
export class RecoveryWorld {
  deaths = 0;
  rings = 0;
  readonly #random: Random;
  readonly #directory = mkdtempSync(join(tmpdir(), 'heddle-recovery-'));
  readonly #poller = new ManualPoller();
  readonly #source = new ManualSource();
  readonly #set: ProcessorSet;
  readonly #processors: ScriptedProcessor[] = [];
  readonly #guests: RecoveryGuest[];
  readonly #vfs: Vf[] = [];
  readonly #uplink: Uplink;
  readonly #broken: string[] = [];
  readonly #failures: string[] = [];
  readonly #stopListening = onFailure(({ what, error }) =>
    this.#failures.push(`${what}: ${error}`),
  );
  #blameless = 0;
  /** Operators' changes, one after another. */
  #change: Promise<unknown> = Promise.resolve();

  constructor(seed: number) {
    this.#random = new Random(seed);
    const owner = {
      functions: (): NicFunction[] => [...this.#vfs, this.#uplink],
      onUplinkLost: () => undefined,
      onUplinkLoop: () => undefined,
      onBroken: (reason: string) => this.#broken.push(reason),
    };
    const settings = { processors: PROCESSORS, processorCpus: [], macAgeSeconds: 300 };
    const clock = { now: () => 0, wait: tick };
    this.#set = new ProcessorSet(settings, owner, clock, ({ index }, _shared, listener) => {
      const processor = new ScriptedProcessor(listener);
      this.#processors[index] = processor;
      return processor;
    });
    const config = completeUplink({ name: 'up', type: 'null' });
    const place = placeOf(VFS, 1);
    this.#uplink = new Uplink(config, place, this.#set, this.#source, () => undefined, atOnce);
    this.#guests = Array.from({ length: VFS }, (_, number) => {
      return new RecoveryGuest(this.#socketOf(number), this.#random);
    });
  }

  async run(steps: number): Promise<void> {
    this.#begin(this.#set.start());
    await this.#settle();
    for (let number = 0; number < VFS; number++) this.#begin(this.#addVf(number));
    this.#begin(this.#uplink.open());
    await this.#quiet();
    for (let step = 0; step < steps; step++) {
      this.#step();
      await tick();
      if (this.#random.chance(0.01)) await this.#quiet();
    }
    await this.#quiet();
  }

  async close(): Promise<void> {
    for (const guest of this.#guests) guest.close();
    for (const vf of this.#vfs) this.#begin(vf.close());
    this.#begin(this.#uplink.close());
    await this.#settle();
    await this.#change;
    const { usedCells } = this.#set.pins;
    await this.#set.stop();
    this.#stopListening();
    rmSync(this.#directory, { recursive: true, force: true });
    if (usedCells !== 0) throw new Error(`${usedCells} cells of the pins are not free again`);
  }

  #socketOf(number: number): string {
    return join(this.#directory, `${number}.sock`);
  }

  #begin(change: Promise<unknown>): void {
    this.#change = Promise.all([this.#change, change]);
  }

  #addVf(number: number): Promise<void> {
    const input = { name: `vf${number}`, socket: this.#socketOf(number), queuePairs: 2 };
    const place = {
      ...placeOf(number, number % PROCESSORS),
      hasUplink: true,
      descriptorQuota: () => 1000,
    };
    const config = completeVf({ ...input, mac: macOf(number + 1) }, 'nic');
    const poller = this.#poller as unknown as Poller;
    const vf = new Vf(config, place, this.#set, poller, () => undefined);
    this.#vfs[number] = vf;
    return vf.open();
  }

  #step(): void {
    const random = this.#random;
    const guest = random.pick(this.#guests);
    const choice = random.below(1000);
    if (choice < 20) guest.setUp();
    else if (choice < 150) guest.say();
    else if (choice < 155) guest.disconnect();
    else if (choice < 500) this.#look();
    else if (choice < 950) this.#take();
    else if (choice < 965) this.#die();
    else if (choice < 990) this.#set.stats();
    else if (choice < 997) this.#operate();
    else this.#source.set(!this.#source.isUp);
  }

  #look(): void {
    const fds = this.#poller.readable();
    if (fds.length > 0) this.#poller.look(this.#random.pick(fds));
  }

  #take(): void {
    const random = this.#random;
    const processor = random.pick(this.#processors);
    const failure = random.chance(0.02) ? new Error('mmap failed: ENOMEM') : null;
    if (!processor.isAlive || processor.isDying) return;
    for (let count = random.between(1, 4); count > 0; count--) processor.take(failure);
  }

  /** In two steps: it traps, and a while later its thread ends. */
  #die(): void {
    const random = this.#random;
    const processor = random.pick(this.#processors);
    if (!processor.isAlive) return;
    if (processor.isDying) {
      this.deaths += 1;
      processor.end();
      return;
    }
    const rings = processor.knowledge.running();
    const isBlameless = this.#blameless < BLAMELESS_MAX && random.chance(0.2);
    if (isBlameless) this.#blameless += 1;
    if (isBlameless) processor.trap(-1);
    else if (rings.length > 0) processor.trap(random.pick(rings));
    if (processor.isDying && random.chance(0.5)) this.#die();
  }

  #operate(): void {
    const random = this.#random;
    const number = random.below(VFS);
    this.#vfs[number]?.quarantine.forgive();
    const change = random.pick([
      { linkState: random.pick(['auto', 'enable', 'disable'] as const) },
      { mac: macOf(random.between(1, 9)) },
      { gro: random.chance(0.5) },
      'replace',
    ] as const);
    // One after another, as the NIC executes them.
    this.#change = this.#change.then(async () => {
      const vf = this.#vfs[number];
      if (vf === undefined) return;
      if (change !== 'replace') {
        await vf.change({ ...vf.config, ...change });
        return;
      }
      await vf.close();
      await this.#addVf(number);
    });
  }

  /** Nobody sends anything more; everything in flight completes. */
  async #settle(): Promise<void> {
    let isDone = false;
    const change = this.#change;
    change.then(
      () => {
        isDone = true;
      },
      (error: Error) => this.#failures.push(`change: ${error.message}`),
    );
    for (let idle = 0, rounds = 0; idle < IDLE_ROUNDS; idle++) {
      if (rounds++ > 20_000) throw new Error('it never becomes quiet');
      for (const processor of this.#processors) {
        if (processor.isDying && processor.isAlive) processor.end();
        if (processor.waiting > 0) idle = 0;
        while (processor.waiting > 0) processor.take();
      }
      for (const fd of this.#poller.readable()) this.#poller.look(fd);
      await tick();
      if (!isDone && this.#failures.length === 0) idle = 0;
    }
  }

  async #quiet(): Promise<void> {
    await this.#settle();
    const problems = [...this.#broken, ...this.#failures];
    for (const [index, processor] of this.#processors.entries()) {
      problems.push(...processor.knowledge.violations, ...this.#differences(index, processor));
    }
    problems.push(...this.#vfs.flatMap((vf) => [...this.#untruths(vf), ...this.#unlikeVf(vf)]));
    problems.push(...this.#unlikeUplink(this.#uplink));
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  /** Differences between what a processor knows and what a new one would know. */
  #differences(index: number, { knowledge }: ScriptedProcessor): string[] {
    const fresh = new Knowledge();
    const views = [...this.#vfs, this.#uplink].map((port) => port.view());
    const messages = [
      ...views.flatMap((view) => receivingMessages(view, index)),
      ...views.flatMap((view) => sendingMessages(view, index)),
    ];
    for (const message of messages) fresh.apply(message);
    const known = knowledge.summary();
    const wanted = fresh.summary();
    const odd = [
      ...known.filter((one) => !wanted.includes(one)).map((one) => `knows ${one}, which is wrong`),
      ...wanted.filter((one) => !known.includes(one)).map((one) => `does not know ${one}`),
    ];
    const held = new Set(fresh.translations());
    const stale = knowledge.translations().filter((one) => !held.has(one));
    this.rings += fresh.rings.size;
    return [
      ...odd.map((one) => `processor ${index} ${one}`),
      ...stale.map((one) => `processor ${index} keeps translation ${one}`),
    ];
  }

  /** How a VF that is restored from this one's saved state differs. */
  #unlikeVf(vf: Vf): string[] {
    const now = performance.now();
    const state = structuredClone(vf.save(now));
    const place = { ...state, descriptorQuota: () => 1000 };
    const poller = new ManualPoller() as unknown as Poller;
    const copy = new Vf(state.config, place, this.#emptyFabric(), poller, () => undefined);
    copy.restore(elsewhere(state), now);
    return unlike(copy, vf, now);
  }

  #unlikeUplink(uplink: Uplink): string[] {
    const now = performance.now();
    const state = structuredClone(uplink.save(now));
    const source = new ManualSource();
    const copy = new Uplink(
      state.config,
      state,
      this.#emptyFabric(),
      source,
      () => undefined,
      atOnce,
    );
    copy.restore(elsewhere(state), now);
    return unlike(copy, uplink, now);
  }

  /** A fabric with the same records, but otherwise new. */
  #emptyFabric(): Fabric {
    const set = this.#set;
    return {
      ...{ shared: set.shared, raiser: set.raiser, processorCount: PROCESSORS },
      ...{ pins: new PinAllocator(), mappings: new Budget(100_000) },
      post: async () => true,
      broadcast: async () => undefined,
      healthOf: (index) => set.healthOf(index),
    };
  }

  /** False reports of a VF about its rings, compared with the processors that serve them. */
  #untruths(vf: Vf): string[] {
    const served = new Set(this.#processors.flatMap(({ knowledge }) => knowledge.running()));
    const rings = vf.view().rings;
    const told = vf.info().rings.filter(({ state }) => state === 'enabled' || state === 'disabled');
    const problems = rings
      .filter(({ ring }) => !served.has(ring))
      .map(({ ring }) => `ring ${ring} of ${vf.name} is not served`);
    if (told.length !== rings.length) problems.push(`${vf.name} reports ${told.length} rings`);
    const { state, rings: all } = vf.info();
    const isFaulted = all.some((ring) => ring.state === 'faulted');
    if (isFaulted && state !== 'faulted')
      problems.push(`${vf.name} is ${state} with a faulted ring`);
    if (state === 'ready' && told.length === 0) problems.push(`${vf.name} is ready without rings`);
    return problems;
  }
}

/** In another process, descriptors have other numbers. */
function elsewhere<State>(state: State): State {
  return replaceDescriptors(state, (fd) => fd + FAR);
}

interface Saved {
  readonly name: string;
  save(now: number): unknown;
  view(): unknown;
  info(): unknown;
}

function unlike(copy: Saved, original: Saved, now: number): string[] {
  const back = <What>(what: What) => replaceDescriptors(what, (fd) => fd - FAR);
  const pairs = [
    [back(copy.save(now)), original.save(now)],
    [back(copy.view()), original.view()],
    [copy.info(), original.info()],
  ];
  const name = `copy of ${original.name}`;
  return pairs.flatMap(([made, saved]) => differences(made, saved, name));
}

/** The differences of two states, by the path of each field. */
function differences(made: unknown, saved: unknown, path: string): string[] {
  if (isDeepStrictEqual(made, saved)) return [];
  const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
  if (!isObject(made) || !isObject(saved))
    return [`${path}: ${inspect(made)}, not ${inspect(saved)}`];
  const [fields, wanted] = [made, saved].map((one) => new Map(Object.entries(one)));
  const names = new Set([...(fields?.keys() ?? []), ...(wanted?.keys() ?? [])]);
  return [...names].flatMap((name) =>
    differences(fields?.get(name), wanted?.get(name), `${path}.${name}`),
  );
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Function n is port n; their rings are adjacent. */
function placeOf(number: number, processor: number): PortPlace {
  const ringBlock = { first: number * RINGS_EACH, count: RINGS_EACH };
  return { number, port: number, processor, ringBlock };
}
