import { everyStep, inBackground, reportFailure } from '../background.ts';
import type { FunctionPlace, NicFunction } from '../processor/fabric.ts';
import type { Places } from './places.ts';

/** A function of a NIC, or an uplink, as the NIC keeps it. */
interface Resident<Config, State> extends NicFunction {
  readonly config: Config;
  /** Throws an OperatorError if it cannot be. */
  open(): void | Promise<void>;
  close(): Promise<void>;
  /** What changes in place. Left out of kinds of which nothing does. */
  change?(config: Config): Promise<void>;
  /** `now`: monotonic milliseconds. */
  save(now: number): State;
  /** In place of `open`. Processors learn of it when they start. */
  restore(state: State, now: number): void;
  /** All that it holds is another one's, which is made from what this one saves. */
  handOver(): Promise<void>;
  /** After `handOver`, when the processors have ended: gives up what they used. */
  leave?(): void;
}

/** What is particular to the functions of one kind. */
export interface FunctionKind<Config, Place, One> {
  /** Takes numbers for one. Throws an OperatorError if there is no room for it. */
  place(config: Config): Place;
  make(config: Config, place: Place): One;
}

/** All functions of one kind that a NIC has, by their names. */
export class FunctionSet<
  Config extends { name: string },
  Place extends FunctionPlace,
  State extends Place & { config: Config },
  One extends Resident<Config, State>,
> {
  readonly #functions = new Map<string, One>();
  readonly #kind: FunctionKind<Config, Place, One>;
  readonly #places: Places;

  constructor(places: Places, kind: FunctionKind<Config, Place, One>) {
    this.#places = places;
    this.#kind = kind;
  }

  get size(): number {
    return this.#functions.size;
  }

  all(): One[] {
    return [...this.#functions.values()];
  }

  find(name: string): One | undefined {
    return this.#functions.get(name);
  }

  configs(): Config[] {
    return this.all().map(({ config }) => config);
  }

  async add(config: Config): Promise<void> {
    const place = this.#kind.place(config);
    try {
      const one = this.#kind.make(config, place);
      // Before it opens: a processor may report on it, or die, in between.
      this.#functions.set(config.name, one);
      await one.open();
    } catch (error) {
      this.#functions.delete(config.name);
      this.#places.free(place);
      throw error;
    }
  }

  async change(config: Config): Promise<void> {
    await this.#functions.get(config.name)?.change?.(config);
  }

  async remove(name: string): Promise<void> {
    const one = this.#functions.get(name);
    if (one === undefined) return;
    this.#functions.delete(name);
    await one.close();
    this.#places.free(one);
  }

  save(now: number): State[] {
    return this.all().map((one) => one.save(now));
  }

  /** Each stands for itself: one that cannot go on is set aside. */
  restore(states: readonly State[], now: number): void {
    for (const state of states) {
      const { name } = state.config;
      this.#places.claim(state);
      const one = this.#kind.make(state.config, state);
      this.#functions.set(name, one);
      try {
        one.restore(state, now);
      } catch (error) {
        reportFailure(`restore ${name}`, error);
        const reason = `it cannot be restored: ${(error as Error).message}`;
        inBackground(`set ${name} aside`, one.setAside(reason));
      }
    }
  }

  async handOver(): Promise<void> {
    const steps = this.all().map((one) => () => one.handOver());
    await everyStep('hand a function over', steps);
  }

  /** After `handOver`, when the processors have ended. */
  async leave(): Promise<void> {
    const steps = this.all().map((one) => () => one.leave?.());
    await everyStep('leave a function to another NIC', steps);
  }
}
