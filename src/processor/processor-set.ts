import { setTimeout as sleep } from 'node:timers/promises';
import { RING_FAULT, RING_FAULT_TRAP } from '../../layout/virtqueue.ts';
import { everyStep, inBackground, reportFailure } from '../background.ts';
import { PinAllocator } from '../memory/pins.ts';
import { Raiser } from '../os/raiser.ts';
import { type Counter, readTable } from '../state/counter-table.ts';
import { type RingProblem, ringProblem } from '../state/ring-problem.ts';
import { SharedState } from '../state/shared-state.ts';
import { bringUp } from './bring-up.ts';
import { mappingBudget } from './budgets.ts';
import { DeathRecord } from './death-record.ts';
import type { Fabric, NicFunction, ProcessorHealth } from './fabric.ts';
import { readFirmware } from './firmware.ts';
import type { Message, Report } from './mailbox.ts';
import {
  type Death,
  Processor,
  type ProcessorHandle,
  type ProcessorListener,
  type ProcessorSettings,
} from './processor.ts';
import { ReservedCpus } from './reserved-cpus.ts';
import { PROCESSOR_COUNTERS, type ProcessorStats, WINDOW_COUNTERS } from './stats.ts';

interface Owner {
  /** VFs, other functions, and uplinks. */
  functions(): NicFunction[];
  /** An uplink's wire no longer moves anything. */
  onUplinkLost(port: number, reason: string): void;
  /** Two uplinks lead to the same network. */
  onUplinkLoop(port: number, other: number): void;
  /** A processor has died for good. The functions it served are set aside. */
  onBroken(reason: string): void;
}

/** Monotonic milliseconds. */
export interface SupervisorClock {
  now(): number;
  wait(milliseconds: number): Promise<void>;
}

const CLOCK: SupervisorClock = {
  now: () => performance.now(),
  wait: async (milliseconds) => {
    await sleep(milliseconds, undefined, { ref: false });
  },
};

type CreateProcessor = (
  settings: ProcessorSettings,
  shared: SharedState,
  listener: ProcessorListener,
) => ProcessorHandle;

function createThread(...parts: ConstructorParameters<typeof Processor>): Processor {
  return new Processor(...parts);
}

interface Settings {
  processors: number;
  /** One for each processor, or none. */
  processorCpus: readonly number[];
  macAgeSeconds: number;
  /** Shared state left by the processors of another NIC, which this one takes over. */
  sharedFd?: number | undefined;
}

/** Of a guest, for its function. */
type Request = Pick<Extract<Report, { kind: 'request' }>, 'ring' | 'id' | 'bytes' | 'room'>;

/**
 * The processors of a NIC and their supervisor. A thread that traps or dies is replaced, and every
 * VF is attached to the new one. The ring that trapped stays stopped; all others continue where
 * they were.
 */
export class ProcessorSet implements Fabric {
  readonly shared: SharedState;
  readonly pins = new PinAllocator();
  readonly mappings = mappingBudget();
  readonly #settings: Settings;
  readonly #owner: Owner;
  readonly #createProcessor: CreateProcessor;
  readonly #firmware = readFirmware();
  readonly #processors: ProcessorHandle[] = [];
  /** By processor: resolves when the current processor, if there is one, is up to date. */
  readonly #recoveries: Promise<void>[] = [];
  readonly #reservedCpus = new ReservedCpus();
  readonly #restarts: number[] = [];
  readonly #clock: SupervisorClock;
  readonly #deaths: DeathRecord[] = [];
  readonly #health: ProcessorHealth[] = [];
  #raiser: Raiser | null = null;
  #isStopping = false;
  #noteStarted = (): void => undefined;
  readonly #started = new Promise<void>((resolve) => {
    this.#noteStarted = resolve;
  });

  constructor(
    settings: Settings,
    owner: Owner,
    clock = CLOCK,
    createProcessor: CreateProcessor = createThread,
  ) {
    this.#settings = { ...settings };
    this.shared = new SharedState(settings.sharedFd);
    this.#owner = owner;
    this.#clock = clock;
    this.#createProcessor = createProcessor;
  }

  get processorCount(): number {
    return this.#settings.processors;
  }

  get raiser(): Raiser {
    if (this.#raiser === null) throw new Error('assertion: no NIC raises before it starts');
    return this.#raiser;
  }

  /** Throws an OperatorError if a processor may not run on its CPU. */
  async start(): Promise<void> {
    this.#raiser = new Raiser(this.shared.fd);
    // Before any processor starts, because new threads inherit this thread's CPUs.
    this.#reservedCpus.reserve(this.#settings.processorCpus);
    // The holders of these locks are gone.
    for (let index = 0; index < this.#settings.processors; index++) this.shared.freeLocks(index);
    for (let index = 0; index < this.#settings.processors; index++) {
      this.#restarts.push(0);
      this.#deaths.push(new DeathRecord());
      this.#health.push({ state: 'running' });
      this.#recoveries.push(this.#begin(index));
    }
    await Promise.all(this.#processors.map((processor) => processor.started()));
    await Promise.all(this.#recoveries);
    this.#noteStarted();
  }

  async stop(): Promise<void> {
    await this.handOver();
    this.shared.close();
  }

  /** Ends the processors. Their shared state stays open for a successor. */
  async handOver(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#processors.map((processor) => processor.stop()));
    this.#raiser?.close();
    this.#reservedCpus.release();
  }

  async post(index: number, message: Message): Promise<boolean> {
    const processor = this.#processors[index];
    if (processor === undefined) return false;
    const isDone = await processor.post(message);
    if (!isDone) await this.#recovered(index, processor);
    return isDone;
  }

  async broadcast(message: Message): Promise<void> {
    await Promise.all(this.#processors.map((_, index) => this.post(index, message)));
  }

  /** How long the switch remembers an address. */
  setMacAge(seconds: number): Promise<void> {
    this.#settings.macAgeSeconds = seconds;
    return this.broadcast({ kind: 'set-mac-age', seconds });
  }

  /** Resolves when a dead processor has been replaced, or will not be. */
  async #recovered(index: number, dead: ProcessorHandle): Promise<void> {
    await dead.ended();
    let recovery: Promise<void> | undefined;
    while (recovery !== this.#recoveries[index]) {
      recovery = this.#recoveries[index];
      await recovery;
    }
  }

  healthOf(index: number): ProcessorHealth {
    return this.#health[index] ?? { state: 'running' };
  }

  /** The processor with the fewest VFs, except those that are broken. */
  leastLoaded(): number {
    const loads = this.#processors.map((_, index) =>
      this.healthOf(index).state === 'broken' ? Number.MAX_SAFE_INTEGER : this.#load(index),
    );
    return loads.indexOf(Math.min(...loads));
  }

  stats(): ProcessorStats[] {
    return this.#processors.map((_, index) => ({
      index,
      cpu: this.#settings.processorCpus[index] ?? null,
      restarts: this.#restarts[index] ?? 0,
      vfs: this.#load(index),
      ...this.#record(PROCESSOR_COUNTERS, index),
      windows: this.#record(WINDOW_COUNTERS, index),
    }));
  }

  #record<Table extends Readonly<Record<string, Counter>>>(table: Table, index: number) {
    return readTable(table, (field) => this.shared.processorField(index, field));
  }

  #load(index: number): number {
    return this.#owner.functions().filter(({ processor }) => processor === index).length;
  }

  #create(index: number): ProcessorHandle {
    const settings = {
      index,
      processorCount: this.#settings.processors,
      macAgeSeconds: this.#settings.macAgeSeconds,
      cpu: this.#settings.processorCpus[index] ?? null,
      firmware: this.#firmware,
    };
    return this.#createProcessor(settings, this.shared, {
      onRingFault: (ring, fault) => this.#blame(ring, ringProblem(fault)),
      describeRing: (ring) => this.#describeRing(ring),
      onUntranslated: (owner, iova, access) =>
        this.#functionOf(owner)?.onUntranslated?.(iova, access),
      onOutside: (owner, address) => this.#functionOf(owner)?.onOutside?.(address),
      onRequest: (ring, id, bytes, room) => {
        inBackground('answer a request', this.#answer(index, { ring, id, bytes, room }));
      },
      onUplinkLost: (number, reason) => this.#owner.onUplinkLost(number, reason),
      onUplinkLoop: (number, other) => this.#owner.onUplinkLoop(number, other),
      onDeath: (death) => this.#replace(index, death),
    });
  }

  /** Not before all have started: otherwise the request stays on its ring for another NIC. */
  async #answer(index: number, { ring, id, bytes, room }: Request): Promise<void> {
    await this.#started;
    // A function that is gone has no queue any more, so no guest waits for the answer.
    const answer = await this.#ownerOf(ring)?.onRequest?.(bytes, room);
    if (answer === undefined) return;
    await this.post(index, { kind: 'answer-request', ring, id, answer });
  }

  #replace(index: number, death: Death): void {
    if (this.#isStopping) return;
    this.#health[index] = { state: 'recovering', reason: death.message };
    // First of all: other processors may wait for its locks, and would trap on the same ring.
    if (death.ring >= 0) this.shared.markFaulted(death.ring);
    this.shared.freeLocks(index);
    this.#restarts[index] = (this.#restarts[index] ?? 0) + 1;
    if (death.ring >= 0) {
      this.shared.setRingField(death.ring, RING_FAULT, RING_FAULT_TRAP);
      this.shared.countFault(death.ring, RING_FAULT_TRAP); // its writer is dead
      this.#blame(death.ring, ringProblem(RING_FAULT_TRAP, death.message));
    }
    this.#recoveries[index] = this.#recover(index, death).catch((error: Error) =>
      reportFailure(`replace processor ${index}`, error),
    );
  }

  /** Replaces a processor that has died, unless it keeps dying. */
  async #recover(index: number, death: Death): Promise<void> {
    const wait = death.ring >= 0 ? 0 : this.#deaths[index]?.note(this.#clock.now());
    if (wait === null) {
      this.#giveUp(index, `processor ${index} keeps dying: ${death.message}`);
      return;
    }
    if (wait !== undefined && wait > 0) await this.#clock.wait(wait);
    if (this.#isStopping) return;
    try {
      await this.#begin(index);
    } catch (error) {
      // Out of descriptors, for example. Counts as an immediate death.
      this.#replace(index, { ring: -1, message: (error as Error).message });
    }
  }

  /** Starts a processor and posts all that it has to know. Throws if it cannot be created. */
  #begin(index: number): Promise<void> {
    const processor = this.#create(index);
    this.#processors[index] = processor;
    return this.#bringUp(index, processor);
  }

  async #bringUp(index: number, processor: ProcessorHandle): Promise<void> {
    const { shared, raiser } = this;
    let hasDied = false;
    const post = async (message: Message): Promise<boolean> => {
      const isDone = await processor.post(message);
      if (!isDone) hasDied = true;
      return isDone;
    };
    await bringUp(this.#owner.functions(), { index, shared, raiser, post });
    if (hasDied)
      await processor.ended(); // it is being replaced
    else if (this.#processors[index] === processor) this.#health[index] = { state: 'running' };
  }

  /** The NIC continues with its other processors. Functions that need this one are told. */
  #giveUp(index: number, reason: string): void {
    this.#health[index] = { state: 'broken', reason };
    const served = this.#owner.functions().filter((one) => one.isServedBy(index));
    // Not part of the recovery, because messages they post to this processor wait for it.
    const telling = everyStep('set the functions of a processor aside', [
      ...served.map((one) => () => one.setAside(reason)),
      () => this.#owner.onBroken(reason),
    ]);
    inBackground('set the functions of a processor aside', telling);
  }

  /** Stops a ring that its driver broke or that the firmware trapped on, and tells its function. */
  #blame(ring: number, problem: RingProblem): void {
    const owner = this.#ownerOf(ring);
    const telling = owner?.onRingFault(ring - owner.ringBlock.first, problem);
    inBackground('stop a ring that a fault stopped', telling);
  }

  #describeRing(ring: number): string {
    const owner = this.#ownerOf(ring);
    if (owner === undefined) return `ring ${ring}`;
    return `queue ${ring - owner.ringBlock.first} of ${owner.name}`;
  }

  #functionOf(number: number): NicFunction | undefined {
    return this.#owner.functions().find((one) => one.number === number);
  }

  #ownerOf(ring: number): NicFunction | undefined {
    return this.#owner.functions().find(({ ringBlock: { first, count } }) => {
      return ring >= first && ring < first + count;
    });
  }
}
