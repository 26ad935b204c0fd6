import type { RngConfig } from '../functions/rng/config.ts';
import { Rng } from '../functions/rng/rng.ts';
import type { FunctionEmit } from '../functions/types.ts';
import type { Poller } from '../os/poller.ts';
import { descriptorQuota } from '../processor/budgets.ts';
import type { Fabric } from '../processor/fabric.ts';
import type { Places } from './places.ts';

/** The entropy devices of a NIC. */
export class RngSet {
  readonly #rngs = new Map<string, Rng>();
  readonly #fabric: Fabric;
  readonly #places: Places;
  readonly #poller: Poller;
  readonly #emit: FunctionEmit;
  readonly #functionCount: () => number;

  /** `functionCount`: of all kinds, which share the descriptors of the process. */
  constructor(
    fabric: Fabric,
    places: Places,
    poller: Poller,
    emit: FunctionEmit,
    functionCount: () => number,
  ) {
    this.#functionCount = functionCount;
    this.#fabric = fabric;
    this.#places = places;
    this.#poller = poller;
    this.#emit = emit;
  }

  all(): Rng[] {
    return [...this.#rngs.values()];
  }

  find(name: string): Rng | undefined {
    return this.#rngs.get(name);
  }

  configs(): RngConfig[] {
    return this.all().map(({ config }) => config);
  }

  /** Throws an OperatorError if its socket cannot be opened, or there is no room for it. */
  add(config: RngConfig): void {
    const place = {
      ...this.#places.forFunction(1),
      descriptorQuota: () => descriptorQuota({ functions: this.#functionCount(), queuePairs: 1 }),
    };
    const rng = new Rng(config, place, this.#fabric, this.#poller, this.#emit);
    try {
      rng.open();
    } catch (error) {
      this.#places.free(place);
      throw error;
    }
    this.#rngs.set(config.name, rng);
  }

  async remove(name: string): Promise<void> {
    const rng = this.#rngs.get(name);
    if (rng === undefined) return;
    this.#rngs.delete(name);
    await rng.close();
    this.#places.free(rng);
  }
}
