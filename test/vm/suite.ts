import { afterAll, beforeAll, beforeEach } from 'vitest';
import {
  canRunGuests,
  Laboratory,
  type LaboratoryOptions,
  skipWithoutGuests,
} from './laboratory.ts';
import { reach } from './traffic.ts';

/**
 * For the head of a suite: before the first test it opens a laboratory whose first guest reaches
 * all others, and closes it after the last. `take` keeps the laboratory and may prepare it. If
 * guests cannot run here, nothing is opened, and the tests are skipped with the reason.
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
