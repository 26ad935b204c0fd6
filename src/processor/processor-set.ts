import { setTimeout as sleep } from 'node:timers/promises';
import {
  PROCESSOR_EVICTIONS,
  PROCESSOR_MISSES,
  PROCESSOR_SLEEPS,
  PROCESSOR_SLOTS,
  PROCESSOR_SLOTS_USED,
  PROCESSOR_TURNS,
} from '../../layout/processor.ts';
import { RING_FAULT, RING_FAULT_TRAP } from '../../layout/virtqueue.ts';
import { everyStep, inBackground } from '../background.ts';
import { PinAllocator } from '../memory/pins.ts';
import { Raiser } from '../os/raiser.ts';
import { portOfRing, queueOfRing } from '../state/ring-number.ts';
import { type RingProblem, ringProblem } from '../state/ring-problem.ts';
import { SharedState } from '../state/shared-state.ts';
import { mappingBudget } from './budgets.ts';
import type { Command } from './commands.ts';
import { DeathRecord } from './death-record.ts';
import type { Fabric, ProcessorHealth, SwitchPort } from './fabric.ts';
import { readFirmware } from './firmware.ts';
import { type Death, Processor } from './processor.ts';
import { ReservedCpus } from './reserved-cpus.ts';
import type { ProcessorStats } from './stats.ts';

interface Owner {
  /** VFs and uplinks. */
  ports(): SwitchPort[];
  /** An uplink's wire moves nothing any more. */
  onUplinkLost(number: number, reason: string): void;
  /** Two uplinks lead into one network. */
  onUplinkLoop(number: number, other: number): void;
  /** A processor has died for good. Ports that it served are set aside. */
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

interface Settings {
  processors: number;
  /** One for each processor, or none. */
  processorCpus: readonly number[];
  macAgeSeconds: number;
}

/**
 * The processors of a NIC and their supervisor: a thread that traps or dies is replaced, and every
 * VF attached to the new one. The ring it trapped on stays stopped; all others go on where they
 * stood.
 */
export class ProcessorSet implements Fabric {
  readonly shared = new SharedState();
  readonly pins = new PinAllocator();
  readonly mappings = mappingBudget();
  readonly #settings: Settings;
  readonly #owner: Owner;
  readonly #firmware = readFirmware();
  readonly #processors: Processor[] = [];
  readonly #reservedCpus = new ReservedCpus();
  readonly #restarts: number[] = [];
  readonly #clock: SupervisorClock;
  readonly #deaths: DeathRecord[] = [];
  readonly #health: ProcessorHealth[] = [];
  #raiser: Raiser | null = null;
  #isStopping = false;

  constructor(settings: Settings, owner: Owner, clock = CLOCK) {
    this.#settings = settings;
    this.#owner = owner;
    this.#clock = clock;
  }

  get processorCount(): number {
    return this.#settings.processors;
  }

  get raiser(): Raiser {
    if (this.#raiser === null) throw new Error('assertion: no NIC raises before it starts');
    return this.#raiser;
  }

  /** Throws an OperatorError if a processor may not run where it should. */
  async start(): Promise<void> {
    this.#raiser = new Raiser(this.shared.fd);
    // Before there are processors: threads that begin later run where this one does.
    this.#reservedCpus.reserve(this.#settings.processorCpus);
    for (let index = 0; index < this.#settings.processors; index++) {
      this.#processors.push(this.#create(index));
      this.#restarts.push(0);
      this.#deaths.push(new DeathRecord());
      this.#health.push({ state: 'running' });
    }
    await Promise.all(this.#processors.map((processor) => processor.started()));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#processors.map((processor) => processor.stop()));
    this.#raiser?.close();
    this.shared.close();
    this.#reservedCpus.release();
  }

  async post(index: number, command: Command): Promise<boolean> {
    return (await this.#processors[index]?.post(command)) ?? false;
  }

  async broadcast(command: Command): Promise<void> {
    await Promise.all(this.#processors.map((processor) => processor.post(command)));
  }

  healthOf(index: number): ProcessorHealth {
    return this.#health[index] ?? { state: 'running' };
  }

  /** The processor with the fewest VFs, of those that can have any. */
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
      turns: this.shared.processorField(index, PROCESSOR_TURNS),
      sleeps: this.shared.processorField(index, PROCESSOR_SLEEPS),
      restarts: this.#restarts[index] ?? 0,
      vfs: this.#load(index),
      windows: {
        slots: this.shared.processorField(index, PROCESSOR_SLOTS),
        used: this.shared.processorField(index, PROCESSOR_SLOTS_USED),
        misses: this.shared.processorField(index, PROCESSOR_MISSES),
        evictions: this.shared.processorField(index, PROCESSOR_EVICTIONS),
      },
    }));
  }

  #load(index: number): number {
    return this.#owner.ports().filter((port) => port.processor === index).length;
  }

  #create(index: number): Processor {
    const settings = {
      index,
      processorCount: this.#settings.processors,
      macAgeSeconds: this.#settings.macAgeSeconds,
      cpu: this.#settings.processorCpus[index] ?? null,
      firmware: this.#firmware,
    };
    return new Processor(settings, this.shared, {
      onRingFault: (ring, fault) => this.#blame(ring, ringProblem(fault)),
      describeRing: (ring) => this.#describeRing(ring),
      onUntranslated: (vf, iova, access) => {
        const port = this.#owner.ports().find((one) => one.number === vf);
        port?.onUntranslated?.(iova, access);
      },
      onOutside: (vf, address) => {
        const port = this.#owner.ports().find((one) => one.number === vf);
        port?.onOutside?.(address);
      },
      onCommand: (ring, id, bytes, room) => {
        // A VF that is gone has no queue either: nobody waits for an answer.
        const answer = this.#portOf(ring)?.onCommand?.(bytes, room);
        const posting = answer?.then((bytes) =>
          this.post(index, { kind: 'answer-command', ring, id, answer: bytes }),
        );
        inBackground('answer a command of a control queue', posting);
      },
      onUplinkLost: (number, reason) => this.#owner.onUplinkLost(number, reason),
      onUplinkLoop: (number, other) => this.#owner.onUplinkLoop(number, other),
      onDeath: (death) => {
        inBackground(`replace processor ${index}`, this.#replace(index, death));
      },
    });
  }

  async #replace(index: number, death: Death): Promise<void> {
    if (this.#isStopping) return;
    this.#health[index] = { state: 'recovering', reason: death.message };
    // Before all else: the others may wait for what it held, and would trap on the same ring.
    if (death.ring >= 0) this.shared.markFaulted(death.ring);
    this.shared.freeLocks(index);
    this.#restarts[index] = (this.#restarts[index] ?? 0) + 1;
    if (death.ring >= 0) {
      this.shared.setRingField(death.ring, RING_FAULT, RING_FAULT_TRAP);
      this.shared.countFault(death.ring, RING_FAULT_TRAP); // its writer is dead
      this.#blame(death.ring, ringProblem(RING_FAULT_TRAP, death.message));
    }
    const wait = death.ring >= 0 ? 0 : this.#deaths[index]?.note(this.#clock.now());
    if (wait === null)
      return this.#giveUp(index, `processor ${index} keeps dying: ${death.message}`);
    if (wait !== undefined && wait > 0) await this.#clock.wait(wait);
    if (this.#isStopping) return;
    await this.#bringUp(index);
  }

  /** Starts a processor in the place of one that is dead, and brings it up to date. */
  async #bringUp(index: number): Promise<void> {
    let processor: Processor;
    try {
      processor = this.#create(index);
    } catch (error) {
      // Out of descriptors, say: as if it had died at once.
      return this.#replace(index, { ring: -1, message: (error as Error).message });
    }
    this.#processors[index] = processor;
    const isUp = await processor.started().then(
      () => true,
      () => false,
    );
    if (!isUp) return; // it reports its own death, and is replaced for that
    // First all that receive, then those that send: no frame meets a receiver that is not back yet.
    for (const direction of ['rx', 'tx'] as const) {
      for (const port of this.#owner.ports()) {
        if (this.#processors[index] !== processor) return; // it has died as well, and is replaced
        await this.#reattach(port, index, direction);
      }
    }
    if (this.#processors[index] === processor) this.#health[index] = { state: 'running' };
  }

  /** The NIC goes on with the processors that it has; who needs this one is told so. */
  async #giveUp(index: number, reason: string): Promise<void> {
    this.#health[index] = { state: 'broken', reason };
    const served = this.#owner.ports().filter((port) => port.isServedBy(index));
    await everyStep(
      'set the ports of a processor aside',
      served.map((port) => () => port.setAside(reason)),
    );
    this.#owner.onBroken(reason);
  }

  /** Each port for itself: one that cannot be attached any more keeps nobody else from it. */
  async #reattach(port: SwitchPort, index: number, direction: 'rx' | 'tx'): Promise<void> {
    try {
      await port.reattach(index, direction);
    } catch (error) {
      const reason = `processor ${index} cannot attach it: ${(error as Error).message}`;
      await everyStep('set a port aside', [() => port.setAside(reason)]);
    }
  }

  /** Stops a ring that its driver broke or that the firmware trapped on, and tells its VF. */
  #blame(ring: number, problem: RingProblem): void {
    const telling = this.#portOf(ring)?.onRingFault(queueOfRing(ring), problem);
    inBackground('stop a ring that a fault stopped', telling);
  }

  #describeRing(ring: number): string {
    const port = this.#portOf(ring);
    return port === undefined ? `ring ${ring}` : `queue ${queueOfRing(ring)} of ${port.name}`;
  }

  #portOf(ring: number): SwitchPort | undefined {
    const number = portOfRing(ring);
    return this.#owner.ports().find((one) => one.number === number);
  }
}
