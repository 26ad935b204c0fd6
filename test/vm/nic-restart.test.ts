import { describe, expect, test } from 'vitest';
import { untilBalanced } from '../support/assert-balanced.ts';
import type { Laboratory } from './laboratory.ts';
import { openLaboratory } from './suite.ts';
import { ping, reach, stream } from './traffic.ts';

describe.each(['client', 'server'] as const)('a NIC in %s mode that restarts', (mode) => {
  let lab: Laboratory;

  openLaboratory({ guests: 2, mode }, (opened) => {
    lab = opened;
  });

  test('reconnects to its guests, and their TCP connection survives', async () => {
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    const streaming = stream(vm1, vm2, { seconds: 8 });
    await untilBusy(lab);
    await lab.restartNic();
    expect(await streaming).toBeGreaterThan(1);
    await reach(vm2, 'vm1');
    expect(await ping(vm1, 'vm2', 10)).toEqual({ sent: 10, answered: 10 });
    await untilBalanced(lab.nic);
  }, 120_000);

  test('reconnects to its guests when they are idle', async () => {
    await lab.restartNic();
    await reach(lab.guest('vm1'), 'vm2');
    expect(await stream(lab.guest('vm2'), lab.guest('vm1'))).toBeGreaterThan(10);
    await untilBalanced(lab.nic);
  }, 120_000);
});

/** Resolves when the stream has sent some thousands of frames. */
async function untilBusy(lab: Laboratory): Promise<void> {
  const sent = (): number => lab.nic.stats().vfs[0]?.tx.packets ?? 0;
  const enough = sent() + 5000;
  while (sent() < enough) await new Promise((resolve) => setTimeout(resolve, 50));
}
