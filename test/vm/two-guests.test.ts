import { afterEach, describe, expect, test } from 'vitest';
import { untilBalanced } from '../support/assert-balanced.ts';
import { canRunGuests, freeHugePagesMiB, type Laboratory } from './laboratory.ts';
import { openLaboratory } from './suite.ts';
import { ping, reach, stream, transfer } from './traffic.ts';

describe('two Linux guests on one NIC', () => {
  let lab: Laboratory;

  // Room for the file that one of the tests moves.
  openLaboratory({ guests: 2, memoryMiB: 640 }, (opened) => {
    lab = opened;
  });
  afterEach(async () => {
    if (canRunGuests) await untilBalanced(lab.nic);
  });

  test('carry out one command after another', async () => {
    const count = 200;
    const take = async (name: string): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const text = 'x'.repeat(n);
        expect(await lab.guest(name).run(`echo ${text}`, 10)).toBe(`${text}\n`);
      }
    };
    await Promise.all([take('vm1'), take('vm2')]);
  }, 60_000);

  test('keep time, although a busy host spoils the calibration of their TSC', async () => {
    const source = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
    for (const name of ['vm1', 'vm2']) {
      expect(await lab.guest(name).run(`cat ${source}`)).toBe('hpet\n');
    }
  });

  test('ping each other without loss', async () => {
    expect(await ping(lab.guest('vm1'), 'vm2', 20)).toEqual({ sent: 20, answered: 20 });
    expect(await ping(lab.guest('vm2'), 'vm1', 20)).toEqual({ sent: 20, answered: 20 });
  });

  test('stream TCP in both directions', async () => {
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    expect(await stream(vm1, vm2)).toBeGreaterThan(10);
    expect(await stream(vm1, vm2, { isReverse: true })).toBeGreaterThan(10);
  });

  test('move 256 MiB through TCP and agree on its SHA-256', async () => {
    const result = await transfer(lab.guest('vm1'), lab.guest('vm2'), 256);
    expect(result.receivedBytes).toBeGreaterThan(256 << 20);
    expect(result.receivedHash).toMatch(/^[0-9a-f]{64}$/);
    expect(result.receivedHash).toBe(result.sentHash);
  }, 180_000);

  test('continue after one of them unloads its driver and loads it again', async () => {
    const vm1 = lab.guest('vm1');
    await vm1.run('rmmod virtio_net && load-drivers && network');
    await reach(vm1, 'vm2');
    expect(await stream(vm1, lab.guest('vm2'))).toBeGreaterThan(10);
  });

  test('continue after one of them unbinds the driver from the device and rebinds it', async () => {
    const vm2 = lab.guest('vm2');
    const driver = '/sys/bus/virtio/drivers/virtio_net';
    await vm2.run(`echo virtio0 >${driver}/unbind && echo virtio0 >${driver}/bind && network`);
    await reach(lab.guest('vm1'), 'vm2');
    expect(await stream(vm2, lab.guest('vm1'))).toBeGreaterThan(10);
  });

  test('continue after one of them reboots', async () => {
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    await vm2.reboot();
    await reach(vm1, 'vm2');
    expect(await stream(vm1, vm2)).toBeGreaterThan(10);
    expect(await stream(vm1, vm2, { isReverse: true })).toBeGreaterThan(10);
  }, 120_000);

  test('continue after one of them is switched off and on', async () => {
    await lab.guest('vm2').close();
    const vm2 = await lab.boot('vm2');
    await reach(lab.guest('vm1'), 'vm2');
    expect(await ping(vm2, 'vm1', 10)).toEqual({ sent: 10, answered: 10 });
  }, 120_000);

  test('continue after one of them moves to huge pages', async ({ skip }) => {
    const memoryMiB = 192;
    skip(freeHugePagesMiB() < memoryMiB, `huge pages need ${memoryMiB} MiB in vm.nr_hugepages`);
    await lab.guest('vm2').close();
    await lab.nic.setVf('vm2', { allowUnsealedMemory: true });
    const vm2 = await lab.boot('vm2', { memory: 'hugetlb', memoryMiB });
    await reach(vm2, 'vm1');
    expect(await stream(lab.guest('vm1'), vm2)).toBeGreaterThan(10);
  }, 120_000);
});
