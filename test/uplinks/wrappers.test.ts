import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findProgram } from '../../src/demo/guest/requirements.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import type { UplinkStats } from '../../src/uplinks/types.ts';
import { type FarEnd, openDgramEnd } from '../support/far-end.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

const FAR_MAC = '02:00:00:00:ff:01';

let directory: string;
let lab: TestNic;
let guest: MockGuest;
let far: FarEnd;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-wrappers-'));
  lab = await TestNic.start({ vfs: 1 });
  guest = await lab.connect(0);
});

afterEach(async () => {
  far.close();
  rmSync(directory, { recursive: true });
  await lab.finish({ isPortGone: true });
});

async function open(extra: Partial<UplinkConfigInput>): Promise<void> {
  const [socket, peer] = [`${directory}/ours`, `${directory}/peer`];
  far = openDgramEnd(peer, socket);
  await lab.nic.addUplink({ name: 'up', type: 'dgram', socket, peer, ...extra });
}

function uplink(): UplinkStats {
  const [stats] = lab.nic.stats().uplinks;
  if (stats === undefined) throw new Error('no uplink');
  return stats;
}

function until(isTrue: () => boolean): Promise<void> {
  return waitUntil(isTrue, () => uplink());
}

function frames(count: number, to: string, from: string): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => plainFrame({ to, from }, 100, index));
}

async function toGuest(count: number): Promise<void> {
  for (const frame of frames(count, lab.mac(0), FAR_MAC)) await until(() => far.send(frame));
}

describe('a fault injector', () => {
  test('drops frames, the same number for the same seed, and counts them', async () => {
    const seen: number[] = [];
    for (const round of [0, 1]) {
      await open({ faults: { seed: 7, drop: 0.3 } });
      await guest.sendAll(frames(500, BROADCAST, lab.mac(0)));
      await until(() => uplink().wire.sent === 500);
      const lost = uplink().wire.drops.injected;
      await until(() => far.frames.length === 500 - lost);
      expect(lost).toBeGreaterThan(100);
      expect(lost).toBeLessThan(200);
      seen.push(lost);
      if (round === 1) break;
      far.close();
      await lab.nic.removeUplink('up');
    }
    expect(seen[0]).toBe(seen[1]);
  });

  test('flips one bit of a frame', async () => {
    await open({ faults: { corrupt: 1 } });
    const sent = frames(20, BROADCAST, lab.mac(0));
    await guest.sendAll(sent);
    await until(() => far.frames.length === 20);
    far.frames.forEach((frame, index) => {
      const bits = frame.map((byte, at) => popCount(byte ^ (sent[index]?.[at] ?? 0)));
      expect(bits.reduce((sum, count) => sum + count, 0)).toBe(1);
    });
  });

  test('delays frames from the world, and wakes the processor for them', async () => {
    await open({ faults: { delayMilliseconds: 100 } });
    const start = performance.now();
    const arrived = guest.waitReceived(3);
    await toGuest(3);
    await arrived;
    expect(performance.now() - start).toBeGreaterThan(99);
  });

  test('paces frames to the world', async () => {
    await open({ faults: { rateMbps: 1 } });
    const start = performance.now();
    await guest.sendAll(frames(400, BROADCAST, lab.mac(0))); // 358 kbit, including a burst of 200
    await until(() => far.frames.length === 400);
    expect(performance.now() - start).toBeGreaterThan(120);
  });
});

test('a tracer writes what tcpdump reads', async ({ skip }) => {
  const tcpdump = findProgram('tcpdump');
  const trace = join(directory, 'trace.pcapng');
  await open({ trace });
  const arrived = guest.waitReceived(7);
  await toGuest(7);
  await arrived;
  await guest.sendAll(frames(5, BROADCAST, lab.mac(0)));
  await until(() => far.frames.length === 5);
  if (tcpdump === undefined) return skip('tcpdump is not installed');
  const text = execFileSync(tcpdump, ['-r', trace, '-e', '-n', '-t'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines = text.split('\n').filter((line) => line.includes('length 100'));
  expect(lines).toHaveLength(12);
  expect(lines.filter((line) => line.includes(`${FAR_MAC} > `))).toHaveLength(7);
});

test('an uplink whose trace cannot be written is refused, and leaves nothing behind', async () => {
  await open({});
  await lab.nic.removeUplink('up');
  const adding = lab.nic.addUplink({ name: 'x', type: 'null', trace: '/nowhere/at/all' });
  await expect(adding).rejects.toMatchObject({ code: 'HEDDLE_UPLINK_TRACE' });
  expect(lab.nic.uplinks()).toEqual([]);
});

function popCount(byte: number): number {
  return byte.toString(2).replaceAll('0', '').length;
}
