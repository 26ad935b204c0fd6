import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Nic } from '../../src/nic/types.ts';

/** Much longer than a processor on an idle machine takes to go to sleep. */
const SETTLE_MS = 300;
/** How often a NIC on a busy machine may still be found active. */
const SETTLES_MAX = 20;

/**
 * Expects that an idle NIC costs nothing: within a second no processor takes a turn or wakes, and
 * no thread spins. The benchmark measures the CPU time, because the test runner itself uses some.
 */
export async function expectIdle(nic: Nic): Promise<void> {
  const work = () => nic.stats().processors.map(({ turns, sleeps }) => ({ turns, sleeps }));
  for (let i = 0, last = ''; i < SETTLES_MAX && last !== JSON.stringify(work()); i++) {
    last = JSON.stringify(work());
    await delay(SETTLE_MS);
  }
  const [before, cpu] = [work(), process.cpuUsage()];
  await delay(1000);
  const { user, system } = process.cpuUsage(cpu);
  expect(work()).toEqual(before);
  expect((user + system) / 1e6, 'seconds of CPU in one second').toBeLessThan(0.5);
}
