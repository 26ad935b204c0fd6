import { describe, expect, it } from 'vitest';
import { seedFromEnvironment } from '../support/seed.ts';
import { World, type WorldOptions, type WorldResult } from './world.ts';

const SEEDS = 30;
const STEPS = 3000;
const COMMAND = 'npx vitest run test/simulation';

/** Runs a world; a failure says how to repeat it. */
function simulate(options: WorldOptions): WorldResult {
  const world = new World(options);
  try {
    return world.run();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const again = `HEDDLE_SEED=${options.seed} ${COMMAND}`;
    throw new Error(`seed ${options.seed}: ${reason}\nto repeat: ${again}`, { cause: error });
  } finally {
    world.close();
  }
}

describe('a simulation', () => {
  const isRepeat = process.env.HEDDLE_SEED !== undefined;
  const first = seedFromEnvironment(1);
  const seeds = Array.from({ length: isRepeat ? 1 : SEEDS }, (_, index) => first + index);

  for (const seed of seeds) {
    it(`of seed ${seed} loses, damages and reorders nothing`, () => {
      const result = simulate({ seed, steps: STEPS });
      expect(result.sent).toBeGreaterThan(100);
      expect(result.received).toBeGreaterThan(100);
    });
  }

  it('is reproducible', () => {
    const options = { seed: first, steps: STEPS };
    expect(simulate(options)).toEqual(simulate(options));
  });

  it('fails if one byte of one frame is wrong, and says how to repeat it', () => {
    const failing = () => simulate({ seed: 1, steps: STEPS, isCanary: true });
    expect(failing).toThrow(/damaged frame/);
    expect(failing).toThrow(/HEDDLE_SEED=1 npx vitest run test\/simulation/);
  });
});
