import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{layout,src,test,bench,examples,firmware}/**/*.test.ts'],
    // Two cores: one file at a time keeps a busy-polling processor from starving a guest's clock.
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
