import { readdirSync, readlinkSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { TestNic } from '../../test/support/test-nic.ts';
import { descriptorsIn } from '../state/saved.ts';

let lab: TestNic | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** The kernel's names for the kinds of these descriptors, without numbers. */
function kindsOf(fds: readonly number[]): string[] {
  return fds.map((fd) => readlinkSync(`/proc/self/fd/${fd}`).replace(/[[(:].*/, '')).sort();
}

it('the state of a NIC is plain data, and names every descriptor that its guests left', async () => {
  lab = await TestNic.start({ vfs: 2 });
  await lab.nic.addUplink({ name: 'up', type: 'loopback' });
  const guest = await lab.connect(0);
  const state = lab.nic.save();
  expect(structuredClone(state)).toEqual(state);

  const fds = descriptorsIn(state);
  const open = new Set(readdirSync('/proc/self/fd').map(Number));
  expect(fds.filter((fd) => !open.has(fd))).toEqual([]);
  const regions = guest.queues.memory.regions.length;
  expect(kindsOf(fds)).toEqual(
    [
      ...Array.from({ length: regions + 2 }, () => '/memfd'), // and the shared state, the uplink's
      ...Array.from({ length: 5 }, () => 'anon_inode'), // kick and call of two rings, the uplink's
      ...Array.from({ length: 3 }, () => 'socket'), // two listen, one is connected
    ].sort(),
  );
});

it('a saved state does not change with the NIC', async () => {
  lab = await TestNic.start({ vfs: 1 });
  const guest = await lab.connect(0);
  const state = lab.nic.save();
  const copy = structuredClone(state);
  await lab.disconnect(0, guest);
  await lab.nic.setVf('vf0', { mac: '02:00:00:00:00:77' });
  expect(state).toEqual(copy);
  expect(lab.nic.save()).not.toEqual(copy);
});
