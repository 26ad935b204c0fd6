import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{layout,src,test,bench,examples,firmware}/**/*.test.ts'],
    // Half of what a test does is waiting. None may rest on having the machine for itself, so two
    // files run at a time, however many cores there are, or as many as HEDDLE_TEST_WORKERS says.
    maxWorkers: Number(process.env.HEDDLE_TEST_WORKERS ?? 2),
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
