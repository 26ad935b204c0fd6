import { acquirePoller, type Poller, releasePoller } from '../os/poller.ts';
import { mappingBudget, takeProcessorMappings } from '../processor/budgets.ts';

/** A NIC's part of the resources that all NICs of a process share. Takes all of it or nothing. */
export class Leases {
  readonly poller: Poller;
  readonly #mappings: number;

  /** `isHeld`: the poller is. Throws an OperatorError if there are too few mappings left. */
  constructor(processors: number, { isHeld }: { isHeld: boolean }) {
    this.#mappings = takeProcessorMappings(processors);
    try {
      this.poller = acquirePoller({ isHeld });
    } catch (error) {
      mappingBudget().give(this.#mappings);
      throw error;
    }
  }

  release(): void {
    mappingBudget().give(this.#mappings);
    releasePoller();
  }
}
