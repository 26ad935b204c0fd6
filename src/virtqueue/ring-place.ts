import { RING_FAULT_MEMORY } from '../../layout/virtqueue.ts';
import { operatorError } from '../errors.ts';
import { distinctPins } from '../memory/pins.ts';
import { mapCountMax } from '../os/limits.ts';
import type { Budget } from '../processor/budgets.ts';
import type { RingPins } from '../processor/mailbox.ts';
import { ODD_PLACE, type RingProblem, ringProblem } from '../state/ring-problem.ts';
import { isAlignedWhereMapped } from './ring-setup.ts';

/** Mappings that a ring's pins take in one processor: one for each piece, and one for the gap. */
export function mappingsOf(pins: RingPins): number {
  return distinctPins(Object.values(pins)).reduce(
    (sum, { pieces }) => sum + (pieces?.length ?? 1) + 1,
    0,
  );
}

/** Takes a ring's mappings in this many processors. Returns why the ring cannot run, or null. */
export function takePlace(pins: RingPins, budget: Budget, processors: number): RingProblem | null {
  if (!isAlignedWhereMapped(pins)) return ODD_PLACE;
  const count = mappingsOf(pins) * processors;
  if (budget.take(count)) return null;
  const { message, hint } = operatorError('HEDDLE_MAPPINGS', {
    what: 'map the ring',
    limit: mapCountMax(),
    received: `${count} more mappings`,
  });
  return ringProblem(RING_FAULT_MEMORY, `${message}. ${hint}`);
}
