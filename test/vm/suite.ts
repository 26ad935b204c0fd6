import { afterAll, beforeAll, beforeEach } from 'vitest';
import {
  canRunGuests,
  Laboratory,
  type LaboratoryOptions,
  skipWithoutGuests,
} from './laboratory.ts';
import { reach } from './traffic.ts';

/**
 * For the head of a suite: a laboratory whose first guest reaches all others, before the first
 * test; it is closed after the last. `take` keeps it, and may prepare it. Where guests cannot run,
 * all of that is left out, and the tests are skipped with the reason.
 */
export function openLaboratory(
  options: LaboratoryOptions,
  take: (lab: Laboratory) => void | Promise<void>,
): void {
  let lab: Laboratory | undefined;

  beforeEach(skipWithoutGuests);
  beforeAll(async () => {
    if (!canRunGuests) return;
    lab = await Laboratory.open(options);
    for (let number = 2; number <= options.guests; number++) {
      await reach(lab.guest('vm1'), `vm${number}`);
    }
    await take(lab);
  }, 120_000);
  afterAll(() => lab?.close());
}
