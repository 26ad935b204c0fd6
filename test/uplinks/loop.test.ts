import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { arpRequest } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { enterNamespace, ip, linkStats, namespaceMissing } from '../support/namespace.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

// Two interfaces connected to one switch, here a bridge of the kernel: frames sent by the first
// come back through the second.

let lab: TestNic;
let guest: MockGuest;
let missing = namespaceMissing;

beforeAll(() => {
  if (missing !== undefined) return;
  enterNamespace();
  try {
    makeNetwork();
  } catch (error) {
    missing = `no bridge or no veth in this kernel: ${(error as Error).message}`;
  }
});

beforeEach(async ({ skip }) => {
  if (missing !== undefined) return skip(missing);
  lab = await TestNic.start({ vfs: 1 });
  guest = await lab.connect(0);
});

afterEach(async () => {
  if (missing === undefined) await lab.close();
});

/** Makes `near1` and `near2`, the ends of two cables into one bridge. */
function makeNetwork(): void {
  ip('link add switch type bridge');
  ip('link set switch up');
  for (const cable of [1, 2]) {
    ip(`link add near${cable} type veth peer name far${cable}`);
    ip(`link set far${cable} master switch`);
    for (const end of ['near', 'far']) ip(`link set ${end}${cable} up`);
  }
}

/** The bridge brings its ports up some time after their links. */
async function untilForwarding(): Promise<void> {
  const states = () => ip('-d link show').match(/bridge_slave state \w+/g) ?? [];
  await waitUntil(
    () => states().filter((state) => state.endsWith('forwarding')).length === 2,
    states,
  );
}

function held(): Promise<{ uplink: string; reason?: string }> {
  return new Promise((resolve) => lab.nic.on('uplink-held', resolve));
}

describe('two packet uplinks into one bridge', () => {
  test('are detected from one broadcast of a guest: the second is held with a reason', async () => {
    await untilForwarding();
    await lab.nic.addUplink({ name: 'first', type: 'packet', interface: 'near1' });
    await lab.nic.addUplink({ name: 'second', type: 'packet', interface: 'near2' });
    const isHeld = held();
    guest.send(arpRequest(lab.mac(0), 0x0a000001, 0x0a000002));
    const event = await isHeld;
    const reason = 'makes a loop: first leads into the same network; retried after 30 s';
    expect(event).toEqual({ uplink: 'second', reason });
    expect(lab.nic.uplink('second')).toMatchObject({ state: 'held', reason });
    expect(lab.nic.uplink('first').state).toBe('up');
    // The first continues, and its frames no longer loop.
    const before = linkStats('near2').tx.packets;
    const heard = linkStats('near1').tx.packets;
    guest.send(arpRequest(lab.mac(0), 0x0a000001, 0x0a000003));
    await waitUntil(
      () => linkStats('near1').tx.packets > heard,
      () => linkStats('near1'),
    );
    expect(linkStats('near2').tx.packets).toBe(before);
    await lab.untilBalanced();
  });
});
