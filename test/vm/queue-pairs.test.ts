import { describe, expect, test } from 'vitest';
import { untilBalanced } from '../support/assert-balanced.ts';
import { addressOf, type Laboratory, PACKED } from './laboratory.ts';
import { openLaboratory } from './suite.ts';
import { ping, reach, stream } from './traffic.ts';

const FORMATS = [
  { format: 'split', special: {} },
  { format: 'packed', special: { vm1: PACKED, vm2: PACKED } },
];

describe.each(FORMATS)('guests with two pairs of $format rings', ({ special }) => {
  let lab: Laboratory;

  openLaboratory({ guests: 2, queuePairs: 2, special }, (opened) => {
    lab = opened;
  });

  test.each([1, 2])('talk if one of them uses %i', async (pairs) => {
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    // Exit code 80: "combined unmodified, ignoring".
    await vm1.run(`ethtool -L eth0 combined ${pairs} || [ $? = 80 ]`);
    expect(await vm1.run('ethtool -l eth0 | tail -5')).toMatch(
      new RegExp(`Combined:\\s+${pairs}\n`),
    );
    await reach(vm1, 'vm2');
    expect(await ping(vm1, 'vm2', 10)).toEqual({ sent: 10, answered: 10 });
    const four = { connections: 4 };
    expect(await stream(vm1, vm2, four)).toBeGreaterThan(10);
    expect(await stream(vm1, vm2, { ...four, isReverse: true })).toBeGreaterThan(10);
    expect(await stream(vm2, vm1, four)).toBeGreaterThan(10);
    await untilBalanced(lab.nic);
  });

  test('send through both pairs', async () => {
    const vm1 = lab.guest('vm1');
    await vm1.run('ethtool -L eth0 combined 2 || [ $? = 80 ]');
    // Each virtual CPU sends through its own queue.
    for (const cpu of [1, 2]) await vm1.run(`taskset ${cpu} ping -c 3 ${addressOf('vm2')}`);
    const queues = lab.nic.stats().vfs[0]?.queues ?? [];
    const used = queues.filter((queue) => queue.direction === 'tx' && queue.packets > 0);
    expect(used).toHaveLength(2);
    await untilBalanced(lab.nic);
  });
});

describe('a guest whose QEMU runs with rss=on,hash=on', () => {
  let lab: Laboratory;

  const special = { vm1: { guest: { deviceProperties: ['rss=on', 'hash=on'] } } };
  openLaboratory({ guests: 2, queuePairs: 2, special }, (opened) => {
    lab = opened;
  });

  test('has neither: QEMU serves the control queue, so the features are not offered to it', async () => {
    const vm1 = lab.guest('vm1');
    const { features } = lab.nic.vf('vm1');
    expect(features).toContain('MQ');
    for (const name of ['RSS', 'HASH_REPORT', 'CTRL_VQ']) expect(features).not.toContain(name);
    await reach(vm1, 'vm2');
    expect(await ping(vm1, 'vm2', 10)).toEqual({ sent: 10, answered: 10 });
    expect(lab.nic.stats().vfs[0]?.control).toBeUndefined();
  });
});

// There are more queue pairs than virtual CPUs, but each flow still has a queue.
describe('a guest with sixteen queue pairs', () => {
  let lab: Laboratory;

  const sixteen = { vf: { queuePairs: 16 }, guest: { processors: 2 } };
  openLaboratory({ guests: 2, special: { vm1: sixteen } }, (opened) => {
    lab = opened;
  });

  function used(direction: 'rx' | 'tx'): number {
    const queues = lab.nic.stats().vfs[0]?.queues ?? [];
    return queues.filter((one) => one.direction === direction && one.packets > 0).length;
  }

  test('receives and sends through most of them', async () => {
    const [vm1, vm2] = [lab.guest('vm1'), lab.guest('vm2')];
    await vm1.run('ethtool -L eth0 combined 16 || [ $? = 80 ]');
    expect(await vm1.run('ethtool -l eth0 | tail -5')).toMatch(/Combined:\s+16\n/);
    await reach(vm1, 'vm2');
    const many = { connections: 40 };
    expect(await stream(vm1, vm2, many)).toBeGreaterThan(10);
    console.log(`of 16 queue pairs, ${used('rx')} have received, ${used('tx')} have sent`);
    expect(used('rx')).toBeGreaterThan(8);
    expect(used('tx')).toBeGreaterThan(1);
    for (const pairs of [3, 16, 1]) {
      await vm1.run(`ethtool -L eth0 combined ${pairs}`);
      expect(await ping(vm1, 'vm2', 5)).toEqual({ sent: 5, answered: 5 });
    }
    await untilBalanced(lab.nic);
  });
});
