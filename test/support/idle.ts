import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Nic } from '../../src/nic/types.ts';

/** How long a processor looks on before it sleeps is far less, where it gets a core at once. */
const SETTLE_MS = 300;
/** How often it may still be found at work, on a machine where others are. */
const SETTLES_MAX = 20;

/**
 * That a NIC where nothing flows costs nothing: no processor takes a turn or wakes in a second, and
 * no thread spins. How much CPU that is stays for the benchmark: the test runner itself takes some.
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
