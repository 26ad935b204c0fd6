import { afterEach, describe, expect, it } from 'vitest';
import { plainFrame } from '../support/frames.ts';
import type { MockGuest } from '../support/mock-driver/mock-guest.ts';
import { TestNic } from '../support/test-nic.ts';

// A processor that dies, seen from the guests: whoever is not to blame goes on after a moment.

let lab: TestNic | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

function restarts(nic: TestNic): number {
  return nic.nic.stats().processors.reduce((sum, one) => sum + one.restarts, 0);
}

/** A frame from one guest to another, and that it arrives. */
async function pass(nic: TestNic, guests: readonly MockGuest[], from: number, to: number) {
  const frame = plainFrame({ to: nic.mac(to), from: nic.mac(from) }, 200, from * 10 + to);
  guests[from]?.send(frame);
  const received = await guests[to]?.nextFrame();
  expect(Buffer.from(received ?? []).equals(frame)).toBe(true);
}

describe('a ring that two processors deliver to, and one of them dies of', () => {
  it('is left alone by the other', async () => {
    const nic = await TestNic.start({ processors: 2, vfs: 3 });
    lab = nic;
    const guests = [await nic.connect(0), await nic.connect(1), await nic.connect(2)];
    const fault = nic.next('fault', 2);
    expect(await nic.nic.injectTrap('vf2', 0)).toBe(true); // in both of them
    for (const from of [0, 1]) {
      const frame = plainFrame({ to: nic.mac(2), from: nic.mac(from) }, 100);
      for (let count = 0; count < 64; count++) guests[from]?.send(frame);
    }
    await fault;
    for (const from of [0, 1]) await guests[from]?.waitTransmitted();
    await pass(nic, guests, 0, 1);
    await pass(nic, guests, 1, 0);
    expect(restarts(nic)).toBe(1);
    expect(nic.nic.vf('vf2')).toMatchObject({ state: 'faulted' });
  });
});
