import { afterEach, describe, expect, test } from 'vitest';
import { untilBalanced } from '../support/assert-balanced.ts';
import { canRunGuests, type Laboratory } from './laboratory.ts';
import { openLaboratory } from './suite.ts';
import { ping, reach, stream } from './traffic.ts';

const NONE = { sent: 3, answered: 0 };
const ALL = { sent: 3, answered: 3 };

describe('two Linux guests whose ports are reconfigured while they run', () => {
  let lab: Laboratory;

  openLaboratory({ guests: 2 }, (opened) => {
    lab = opened;
  });
  afterEach(async () => {
    if (canRunGuests) await untilBalanced(lab.nic);
  });

  test('reach each other only in the same VLAN', async () => {
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    await lab.nic.setVf('vm1', { vlan: { access: 10 } });
    expect(await ping(vm1, 'vm2', 3)).toEqual(NONE);
    await lab.nic.setVf('vm2', { vlan: { trunk: [10, 20], native: 10 } });
    await reach(vm1, 'vm2');
    expect(await stream(vm1, vm2)).toBeGreaterThan(10);
    expect(await stream(vm1, vm2, { isReverse: true })).toBeGreaterThan(10);
    await lab.nic.setVf('vm2', { vlan: { access: 20 } });
    expect(await ping(vm1, 'vm2', 3)).toEqual(NONE);
    for (const name of ['vm1', 'vm2']) await lab.nic.setVf(name, { vlan: {} });
    await reach(vm1, 'vm2');
  }, 60_000);

  test('are cut off while a link is disabled, although QEMU leaves them their carrier', async () => {
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    await lab.nic.setVf('vm2', { linkState: 'disable' });
    expect(await ping(vm1, 'vm2', 3)).toEqual(NONE);
    expect((await vm2.run('cat /sys/class/net/eth0/carrier')).trim()).toBe('1');
    await lab.nic.setVf('vm2', { linkState: 'auto' }); // no uplink to wait for
    await reach(vm1, 'vm2');
    expect(await ping(vm2, 'vm1', 3)).toEqual(ALL);
    // No port has the address of a guest whose port is down, and there is no third one to flood to.
    const drops = lab.nic.stats().vfs.map(({ tx }) => tx.drops.noDestination ?? 0);
    expect(drops[0]).toBeGreaterThan(0);
  }, 60_000);
});
