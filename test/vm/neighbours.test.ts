import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findProgram } from '../../src/demo/guest/requirements.ts';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import { untilPortsBalanced } from '../support/assert-balanced.ts';
import { waitUntil } from '../support/wait-until.ts';
import { canRunGuests, Laboratory, skipWithoutGuests } from './laboratory.ts';
import { ping, reach, stream, transfer } from './traffic.ts';

// A guest on a VF talks to a guest that shares no memory: QEMU passes the frames of the second one
// over a socket to an uplink of the NIC.

interface Kind {
  readonly name: string;
  uplink(path: (name: string) => string): UplinkConfigInput;
  /** QEMU's end of the connection. */
  netdev(path: (name: string) => string): string;
}

const unix = (end: string, path: string) => `${end}.type=unix,${end}.path=${path}`;

const kinds: readonly Kind[] = [
  {
    name: 'stream, to which QEMU connects',
    uplink: (path) => ({ name: 'old', type: 'stream', socket: path('a') }),
    netdev: (path) => `stream,server=off,${unix('addr', path('a'))}`,
  },
  {
    name: 'stream, which connects to QEMU',
    uplink: (path) => ({ name: 'old', type: 'stream', socket: path('b'), mode: 'client' }),
    netdev: (path) => `stream,server=on,${unix('addr', path('b'))}`,
  },
  {
    name: 'dgram',
    uplink: (path) => ({ name: 'old', type: 'dgram', socket: path('ours'), peer: path('peer') }),
    netdev: (path) => `dgram,${unix('local', path('peer'))},${unix('remote', path('ours'))}`,
  },
  {
    name: 'vde',
    uplink: (path) => ({ name: 'old', type: 'vde', socket: path('vde') }),
    netdev: (path) => `vde,sock=${path('vde')}`,
  },
];

let lab: Laboratory;
let vdeSwitch: ChildProcess | undefined;

beforeEach(skipWithoutGuests);

beforeAll(async () => {
  if (!canRunGuests) return;
  lab = await Laboratory.open({ guests: 1 });
}, 120_000);

afterEach(async () => {
  if (!canRunGuests) return;
  try {
    await untilPortsBalanced(lab.nic);
  } finally {
    if (lab.nic.uplinks().length > 0) await lab.nic.removeUplink('old');
  }
});

afterAll(async () => {
  await lab?.close();
  vdeSwitch?.kill();
});

async function startVdeSwitch(): Promise<void> {
  vdeSwitch = spawn('vde_switch', ['-s', lab.path('vde')], { stdio: ['pipe', 'ignore', 'ignore'] });
  await waitUntil(
    () => existsSync(lab.path('vde/ctl')),
    () => 'vde_switch made no socket',
  );
}

describe.each(kinds)('a guest behind $name', ({ name, uplink, netdev }) => {
  test('and a guest on a VF exchange data unchanged', async ({ skip }) => {
    const needsSwitch = name === 'vde';
    if (needsSwitch && findProgram('vde_switch') === undefined) return skip('no vde_switch');
    if (needsSwitch) await startVdeSwitch();
    const path = (file: string) => lab.path(file);
    await lab.nic.addUplink(uplink(path));
    const vm1 = lab.guest('vm1');
    const vm9 = await lab.neighbour('vm9', netdev(path));
    try {
      await reach(vm9, 'vm1');
      expect(await ping(vm1, 'vm9', 10)).toEqual({ sent: 10, answered: 10 });
      for (const [from, to] of [
        [vm1, vm9],
        [vm9, vm1],
      ] as const) {
        const { sentHash, receivedHash, receivedBytes } = await transfer(from, to, 16);
        expect(receivedBytes).toBeGreaterThanOrEqual(16 << 20);
        expect(receivedHash).toBe(sentHash);
      }
      const mbps = await stream(vm1, vm9);
      console.log(`${name}: ${Math.round(mbps)} Mbit/s from the VF`);
      const [stats] = lab.nic.stats().uplinks;
      // The neighbour accepts no offloads: the switch segmented and checksummed for it.
      expect(stats?.rx.segments).toBeGreaterThan(0);
      expect(stats?.rx.checksums).toBeGreaterThan(0);
      expect(stats?.wire.drops).toMatchObject({ tooLong: 0, malformed: 0, linkLost: 0 });
    } finally {
      await vm9.close();
    }
  }, 120_000);
});
