import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { untilBalanced } from '../support/assert-balanced.ts';
import { Laboratory, skipWithoutGuests } from './laboratory.ts';
import { ping, reach, stream, transfer } from './traffic.ts';

// A Linux whose virtio-net is behind an emulated Intel IOMMU: every buffer is mapped at its own I/O
// virtual address, and unmapped after use.
describe('a guest behind an IOMMU', () => {
  let lab: Laboratory | undefined;

  beforeEach(skipWithoutGuests);
  afterEach(() => lab?.close());

  test('talks to a guest without one', async () => {
    lab = await Laboratory.open({ guests: 2, special: { vm1: { guest: { iommu: true } } } });
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    expect(await vm1.run('dmesg | grep -c "DMAR: Intel(R) Virtualization Technology"')).toMatch(
      /1/,
    );
    await reach(vm1, 'vm2');
    expect(lab.nic.vf('vm1').features).toContain('ACCESS_PLATFORM');
    expect(lab.nic.vf('vm2').features).not.toContain('ACCESS_PLATFORM');
    const { answered } = await ping(vm1, 'vm2', 20);
    expect(answered).toBeGreaterThan(15);
    const sent = await transfer(vm1, vm2, 16);
    expect(sent.receivedHash).toBe(sent.sentHash);
    const back = await transfer(vm2, vm1, 16);
    expect(back.receivedHash).toBe(back.sentHash);
    expect(await stream(vm1, vm2, { seconds: 2 })).toBeGreaterThan(1);
    await untilBalanced(lab.nic);
  }, 180_000);

  test('keeps its traffic when the NIC restarts, and when its driver is reloaded', async () => {
    lab = await Laboratory.open({ guests: 2, special: { vm1: { guest: { iommu: true } } } });
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    await reach(vm1, 'vm2');
    await lab.restartNic();
    await reach(vm1, 'vm2');
    // The new driver uses the addresses of the first one for other pages.
    await vm1.run(
      'rmmod virtio_net; load-drivers; ip a add 10.0.0.1/24 dev eth0; ip l set eth0 up',
    );
    await reach(vm1, 'vm2');
    const back = await transfer(vm2, vm1, 8);
    expect(back.receivedHash).toBe(back.sentHash);
    expect(lab.nic.stats().vfs[0]?.tx.drops).toEqual({});
  }, 180_000);
});
