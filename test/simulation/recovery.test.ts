import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openFdCount } from '../support/file-descriptors.ts';
import { seedFromEnvironment } from '../support/seed.ts';
import { RecoveryWorld } from './recovery-world.ts';

const SEEDS = 20;
/** These seeds once found an error. */
const FOUND = [1006, 1012, 1013, 1031, 1124];
const STEPS = 1500;
const COMMAND = 'npx vitest run test/simulation/recovery.test.ts';

beforeEach(() => {
  // Holds, and requests that wait for a quiet connection, end by time: here they do not end.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Runs a world; a failure says how to repeat it. */
async function simulate(seed: number): Promise<RecoveryWorld> {
  const world = new RecoveryWorld(seed);
  try {
    await world.run(STEPS);
    await world.close();
    return world;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}: ${reason}\nto repeat: HEDDLE_SEED=${seed} ${COMMAND}`, {
      cause: error,
    });
  }
}

describe('messages, deaths and changes in any order', () => {
  const isRepeat = process.env.HEDDLE_SEED !== undefined;
  const first = seedFromEnvironment(1);
  const some = Array.from({ length: SEEDS }, (_, index) => first + index);
  const seeds = isRepeat ? [first] : [...some, ...FOUND];

  it.each(seeds)('of seed %i leave processors whose knowledge matches the state', async (seed) => {
    const before = openFdCount();
    const { deaths, rings } = await simulate(seed);
    expect(openFdCount()).toBe(before);
    if (!isRepeat) expect(deaths).toBeGreaterThan(0);
    expect(rings).toBeGreaterThan(0);
  });
});
