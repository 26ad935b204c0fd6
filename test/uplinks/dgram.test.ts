import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { checkSame } from '../support/exchange.ts';
import { type FarEnd, openDgramEnd } from '../support/far-end.ts';
import { expectIdle } from '../support/idle.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

// A peer that restarts is a new socket at the same path. A socket connected to the old one neither
// receives from it nor reaches it.

const FAR_MAC = '02:00:00:00:ff:01';
/** How often a dgram uplink looks for a missing peer. */
const LOOK_MILLISECONDS = 500;

let directory: string;
let lab: TestNic;
let guest: MockGuest;
let far: FarEnd;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-dgram-'));
  lab = await TestNic.start({ vfs: 1 });
  guest = await lab.connect(0);
  far = openPeer();
  const [socket, peer] = [path('nic'), path('peer')];
  await lab.nic.addUplink({ name: 'up', type: 'dgram', socket, peer });
  await until(() => lab.nic.uplink('up').state === 'up');
});

afterEach(async () => {
  vi.restoreAllMocks();
  far.close();
  await lab.finish();
  rmSync(directory, { recursive: true, force: true });
});

function path(name: string): string {
  return join(directory, name);
}

function openPeer(): FarEnd {
  return openDgramEnd(path('peer'), path('nic'));
}

function until(isTrue: () => boolean): Promise<void> {
  return waitUntil(isTrue, () => lab.nic.stats().uplinks);
}

function restartPeer(): void {
  far.close();
  far = openPeer();
}

/** The first attempt must succeed: a peer whose frame is refused does not know to retry. */
async function toGuest(seed: number): Promise<void> {
  const frame = plainFrame({ to: lab.mac(0), from: FAR_MAC }, 300, seed);
  const arrived = guest.waitReceived(1);
  expect(far.send(frame)).toBe(true);
  checkSame(await arrived, [frame]);
}

async function toWorld(seed: number): Promise<void> {
  const frame = plainFrame({ to: BROADCAST, from: lab.mac(0) }, 300, seed);
  await guest.sendAll([frame]);
  await until(() => far.frames.length === 1);
  checkSame(far.frames, [frame]);
}

function blocked(): number {
  return lab.nic.stats().uplinks[0]?.wire.blocked ?? 0;
}

describe('the peer of a dgram uplink that restarts', () => {
  test('is received from its first frame on', async () => {
    const downs: string[] = [];
    lab.nic.on('uplink-down', ({ reason = '' }) => downs.push(reason));
    await toGuest(1);
    for (let life = 2; life < 5; life++) {
      restartPeer();
      await toGuest(life);
    }
    expect(downs).toEqual([]);
  });

  test('gets the next frame', async () => {
    await toWorld(1);
    for (let life = 2; life < 5; life++) {
      restartPeer();
      await toWorld(life);
    }
    expect(lab.nic.stats().uplinks[0]?.wire.drops).toMatchObject({ refused: 0, linkLost: 0 });
  });

  test('brings the uplink up with its first frame if it went down in the meantime', async () => {
    // The periodic look for the peer never happens again, so only the frame can bring it up.
    const { setTimeout } = globalThis;
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((work: () => void, after?: number) =>
      setTimeout(work, after === LOOK_MILLISECONDS ? 1e9 : after)) as typeof setTimeout);
    far.close();
    await guest.sendAll([plainFrame({ to: BROADCAST, from: lab.mac(0) }, 60, 1)]);
    await until(() => lab.nic.uplink('up').state === 'down');
    far = openPeer();
    await toGuest(2);
    await until(() => lab.nic.uplink('up').state === 'up');
    await toWorld(3);
  });

  test('gets the frames that waited for its predecessor, whose queue was full', async () => {
    far.setReading(false);
    const frames = Array.from({ length: 400 }, (_, i) =>
      plainFrame({ to: BROADCAST, from: lab.mac(0) }, 1000, i),
    );
    await guest.sendAll(frames);
    await until(() => blocked() > 0);
    const before = far;
    far = openPeer();
    before.close();
    await until(() => far.frames.length > 0 && lab.nic.stats().uplinks[0]?.wire.sent === 400);
    const last = Buffer.from(frames.at(-1) ?? []);
    await until(() => last.equals(far.frames.at(-1) ?? new Uint8Array(0)));
    expect(far.frames.length).toBeGreaterThan(100);
    checkSame(far.frames, frames.slice(-far.frames.length));
  });
});

describe('a dgram uplink whose peer does not read', () => {
  test.each([
    ['is not connected (its queue is full)', false],
    ['is connected (our own buffer is full)', true],
  ])('waits without using the CPU if the peer %s', async (_, isConnected) => {
    far.close();
    far = openDgramEnd(path('peer'), path('nic'), { isConnected });
    await toGuest(1);
    far.setReading(false);
    const frames = Array.from({ length: 900 }, (_, i) =>
      plainFrame({ to: BROADCAST, from: lab.mac(0) }, 1400, i),
    );
    await guest.sendAll(frames);
    await until(() => blocked() > 0);
    await expectIdle(lab.nic);
    far.setReading(true);
    await until(() => far.frames.length === frames.length);
    checkSame(far.frames, frames);
  });
});
