import { everyStep, inBackground, reportFailure } from '../background.ts';
import type { FunctionPlace, NicFunction } from '../processor/fabric.ts';
import type { Places } from './places.ts';

/** A function or an uplink, as the NIC sees it. */
interface Resident<Config, State> extends NicFunction {
  readonly config: Config;
  /** Throws an OperatorError if that is not possible. */
  open(): void | Promise<void>;
  close(): Promise<void>;
  /** Applies the changes that can be made in place. Missing in kinds that have none. */
  change?(config: Config): Promise<void>;
  /** `now`: monotonic milliseconds. */
  save(now: number): State;
  /** Instead of `open`. Processors learn of the function when they start. */
  restore(state: State, now: number): void;
  /** Leaves everything to another instance, which is made from what this one saves. */
  handOver(): Promise<void>;
  /** After `handOver`, when the processors have ended: releases what they used. */
  leave?(): void;
}

/** What differs between the kinds of functions. */
export interface FunctionKind<Config, Place, One> {
  /** Allots a place for a function. Throws an OperatorError if there is no room. */
  place(config: Config): Place;
  make(config: Config, place: Place): One;
  /** Writes what all functions are promised, because one has come, gone or changed. */
  writePromises?(): Promise<void>;
}

/** All functions of one kind in a NIC, by name. */
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
      // Before it opens, because a processor may report on it, or die, in the meantime.
      this.#functions.set(config.name, one);
      await this.#kind.writePromises?.();
      await one.open();
    } catch (error) {
      this.#functions.delete(config.name);
      this.#places.free(place);
      await this.#kind.writePromises?.();
      throw error;
    }
  }

  async change(config: Config): Promise<void> {
    try {
      await this.#functions.get(config.name)?.change?.(config);
    } finally {
      await this.#kind.writePromises?.();
    }
  }

  async remove(name: string): Promise<void> {
    const one = this.#functions.get(name);
    if (one === undefined) return;
    this.#functions.delete(name);
    await one.close();
    this.#places.free(one);
    await this.#kind.writePromises?.();
  }

  save(now: number): State[] {
    return this.all().map((one) => one.save(now));
  }

  /** Each function is restored independently: one that fails is set aside. */
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
