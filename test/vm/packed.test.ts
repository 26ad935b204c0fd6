import { afterEach, describe, expect, test } from 'vitest';
import { VIRTIO_F_RING_PACKED, VIRTIO_F_RING_RESET } from '../../layout/virtio.ts';
import type { Guest } from '../../src/demo/guest/guest.ts';
import { untilBalanced } from '../support/assert-balanced.ts';
import { canRunGuests, type Laboratory, PACKED } from './laboratory.ts';
import { featureBits } from './offload-traffic.ts';
import { openLaboratory } from './suite.ts';
import { ping, reach, stream, transfer } from './traffic.ts';

/** Whether the guest's driver reports that it has negotiated a feature. */
async function hasFeature(guest: Guest, bit: number): Promise<boolean> {
  return (await featureBits(guest)).includes(bit);
}

describe('guests with packed rings', () => {
  let lab: Laboratory;

  // vm3 has split rings, like the guests of the other tests.
  openLaboratory({ guests: 3, special: { vm1: PACKED, vm2: PACKED } }, (opened) => {
    lab = opened;
  });
  afterEach(async () => {
    if (canRunGuests) await untilBalanced(lab.nic);
  });

  test('have negotiated them', async () => {
    const packed = ['vm1', 'vm2', 'vm3'].map((name) =>
      hasFeature(lab.guest(name), VIRTIO_F_RING_PACKED),
    );
    expect(await Promise.all(packed)).toEqual([true, true, false]);
  });

  test.each([
    ['vm1', 'vm2'],
    ['vm1', 'vm3'],
    ['vm3', 'vm2'],
  ] as const)('talk: %s and %s', async (from, to) => {
    const [first, second] = [lab.guest(from), lab.guest(to)];
    expect(await ping(first, to, 20)).toEqual({ sent: 20, answered: 20 });
    expect(await stream(first, second)).toBeGreaterThan(10);
    expect(await stream(first, second, { isReverse: true })).toBeGreaterThan(10);
  });

  test('move 64 MiB through TCP and agree on its SHA-256', async () => {
    const result = await transfer(lab.guest('vm1'), lab.guest('vm2'), 64);
    expect(result.receivedHash).toMatch(/^[0-9a-f]{64}$/);
    expect(result.receivedHash).toBe(result.sentHash);
  }, 180_000);

  // QEMU 7.2 would reset the ring without telling the NIC (docs/virtio-features.md).
  test('cannot resize their rings, and continue after trying', async () => {
    for (const name of ['vm1', 'vm3']) {
      const guest = lab.guest(name);
      expect(await hasFeature(guest, VIRTIO_F_RING_RESET)).toBe(false);
      const { exitCode } = await guest.attempt('ethtool -G eth0 rx 128 tx 128', 10);
      expect(exitCode).not.toBe(0);
      expect(await ping(guest, 'vm2', 10)).toEqual({ sent: 10, answered: 10 });
    }
    for (const { tx, rx } of lab.nic.stats().vfs) expect(tx.faults + rx.faults).toBe(0);
  });

  test('continue after one of them reloads its driver', async () => {
    const vm1 = lab.guest('vm1');
    await vm1.run('rmmod virtio_net && load-drivers && network');
    await reach(vm1, 'vm2');
    expect(await stream(vm1, lab.guest('vm2'))).toBeGreaterThan(10);
  });

  // QEMU names the position where the rings began. The NIC left them elsewhere, and has recorded
  // where. This is the last test, because counters start over.
  test('survive a restart of the NIC, together with a guest with split rings', async () => {
    const [vm1, vm3] = [lab.guest('vm1'), lab.guest('vm3')];
    for (let round = 0; round < 2; round++) {
      expect(await stream(vm1, vm3)).toBeGreaterThan(1);
      await lab.restartNic();
      await reach(vm3, 'vm1');
      expect(await ping(vm1, 'vm3', 10)).toEqual({ sent: 10, answered: 10 });
    }
    expect(await stream(vm1, vm3, { isReverse: true })).toBeGreaterThan(10);
  }, 120_000);
});
