import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type FarEnd, openDgramEnd } from '../../test/support/far-end.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { createNic } from '../nic/nic.ts';
import type { Nic } from '../nic/types.ts';
import { BROADCAST, macOf, plainFrame } from '../testing/frames.ts';

let directory: string;
let nic: Nic;
let end: FarEnd;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-test-'));
  const [socket, peer] = ['ours', 'theirs'].map((name) => join(directory, `${name}.sock`)) as [
    string,
    string,
  ];
  end = openDgramEnd(peer, socket);
  nic = await createNic({
    uplinks: [{ name: 'lan', type: 'dgram', socket, peer, addressesMax: 3 }],
  });
});
afterEach(async () => {
  end.close();
  await nic.close();
  rmSync(directory, { recursive: true, force: true });
});

const figures = () => nic.stats().uplinks[0]?.addresses;

async function speak(from: number, to: number): Promise<void> {
  const before = nic.stats().uplinks[0]?.tx.packets ?? 0;
  for (let station = from; station < to; station++) {
    const frame = plainFrame({ to: BROADCAST, from: macOf(0x4000 + station) }, 60);
    await waitUntil(
      () => end.send(frame), // the socket holds only a few
      () => station,
    );
  }
  await waitUntil(
    () => (nic.stats().uplinks[0]?.tx.packets ?? 0) === before + to - from,
    () => nic.stats().uplinks,
  );
}

it('learns addresses up to a limit that can change in place, and counts the rest', async () => {
  const downs: unknown[] = [];
  nic.on('uplink-down', (event) => downs.push(event));
  await speak(0, 5);
  expect(nic.fdb().map(({ mac }) => mac)).toHaveLength(3);
  expect(figures()).toEqual({ learned: 3, unlearned: 2 });
  expect(await nic.setUplink('lan', { addressesMax: 100 })).toMatchObject({ addressesMax: 100 });
  await speak(0, 50);
  expect(figures()).toEqual({ learned: 50, unlearned: 2 });
  expect(downs).toEqual([]);
});
