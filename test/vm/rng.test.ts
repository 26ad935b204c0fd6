import { beforeEach, describe, expect, test } from 'vitest';
import type { Guest } from '../../src/demo/guest/guest.ts';
import { driverModules, findKernel, moduleName } from '../../src/demo/guest/kernel.ts';
import type { FunctionInfo } from '../../src/functions/types.ts';
import type { Laboratory } from './laboratory.ts';
import { openLaboratory } from './suite.ts';

const kernel = findKernel();
const hasDriver =
  kernel !== undefined && driverModules(kernel).map(moduleName).includes('virtio_rng');

/** Reads 64 bytes from the guest's entropy source, in hexadecimal. */
async function read(guest: Guest): Promise<string> {
  const output = await guest.run('dd if=/dev/hwrng bs=16 count=4 iflag=fullblock | xxd -p -c 64');
  return output.split('\n').find((line) => /^[0-9a-f]{128}$/.test(line)) ?? output;
}

describe('a Linux guest with an entropy device', () => {
  let lab: Laboratory;
  let guest: Guest;

  openLaboratory({ guests: 0 }, async (opened) => {
    lab = opened;
    const rngSocket = lab.path('rng1.sock');
    await lab.nic.apply({ ...lab.nic.config(), rngs: [{ name: 'rng1', socket: rngSocket }] });
    guest = await lab.add('vm1', { rngSocket });
  });
  beforeEach(({ skip }) => skip(!hasDriver, 'the kernel has no module virtio_rng'));

  function rng(): FunctionInfo {
    return lab.nic.functions()[0]!;
  }

  async function expectRandom(): Promise<void> {
    const current = await guest.run('cat /sys/class/misc/hw_random/rng_current');
    expect(current).toMatch(/^virtio_rng/);
    const [first, second] = [await read(guest), await read(guest)];
    for (const bytes of [first, second]) expect(bytes).toMatch(/^(?!0+$)[0-9a-f]{128}$/);
    expect(first).not.toBe(second);
    expect(rng()).toMatchObject({
      state: 'ready',
      rings: [{ queue: 0, direction: 'request', state: 'enabled' }],
      counters: { refused: 0, faults: 0, drops: {} },
    });
  }

  test('reads random bytes', async () => {
    await expectRandom();
    expect(rng().counters?.commands).toBeGreaterThanOrEqual(8);
  });

  test('reads random bytes after its driver was reloaded', async () => {
    await guest.run('rmmod virtio_rng && load-drivers');
    await expectRandom();
  });

  test('reads random bytes after a reboot', async () => {
    await guest.reboot();
    await expectRandom();
  }, 120_000);
});
