import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{layout,src,test,bench,examples,firmware}/**/*.test.ts'],
    // Tests mostly wait. None may rely on having the machine to itself, so two files run at a time,
    // whatever the number of cores; HEDDLE_TEST_WORKERS changes that.
    maxWorkers: Number(process.env.HEDDLE_TEST_WORKERS ?? 2),
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
