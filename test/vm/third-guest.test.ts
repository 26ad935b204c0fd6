import { describe, expect, test } from 'vitest';
import { untilBalanced, untilPortsBalanced } from '../support/assert-balanced.ts';
import type { Laboratory } from './laboratory.ts';
import { openLaboratory } from './suite.ts';
import { ping, reach, stream } from './traffic.ts';

/** Spreads the pings over the time in which something else happens. */
const OVER_TIME = { intervalSeconds: 0.1 };

describe('a VF that is added to a running NIC and removed', () => {
  let lab: Laboratory;

  openLaboratory({ guests: 2 }, (opened) => {
    lab = opened;
  });

  test('serves a third guest while the other two talk', async () => {
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    const isUndisturbed = ping(vm1, 'vm2', 60, OVER_TIME);
    const vm3 = await lab.add('vm3');
    await reach(vm3, 'vm2');
    expect(await ping(vm3, 'vm2', 10)).toEqual({ sent: 10, answered: 10 });
    expect(await isUndisturbed).toEqual({ sent: 60, answered: 60 });
    expect(await ping(vm1, 'vm3', 10)).toEqual({ sent: 10, answered: 10 });
    expect(await stream(vm3, vm2)).toBeGreaterThan(10);
    await untilBalanced(lab.nic);
  }, 120_000);

  test('does not disturb the other two when it is removed', async () => {
    const isUndisturbed = ping(lab.guest('vm1'), 'vm2', 30, OVER_TIME);
    await lab.nic.removeVf('vm3');
    expect(await isUndisturbed).toEqual({ sent: 30, answered: 30 });
    expect(await ping(lab.guest('vm1'), 'vm3', 1)).toEqual({ sent: 1, answered: 0 });
    expect(lab.nic.vfs().map((vf) => vf.name)).toEqual(['vm1', 'vm2']);
    await untilPortsBalanced(lab.nic);
  });
});
