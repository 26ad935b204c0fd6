import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  type TestContext,
  test,
} from 'vitest';
import { BROADCAST, plainFrame, RandomFrames } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { Random } from '../../src/testing/random.ts';
import type { UplinkStats } from '../../src/uplinks/types.ts';
import { imbalances } from '../support/assert-balanced.ts';
import { checkSame } from '../support/exchange.ts';
import type { FarEnd } from '../support/far-end.ts';
import { enterNamespace, namespaceMissing } from '../support/namespace.ts';
import { TestNic } from '../support/test-nic.ts';
import { inTime, waitUntil } from '../support/wait-until.ts';
import {
  dgramSpecimen,
  internalSpecimen,
  packetSpecimen,
  passtSpecimen,
  type Specimen,
  streamSpecimen,
  tapSpecimen,
  vdeSpecimen,
  xdpSpecimen,
} from './specimens.ts';

/** How frames cross the wire in one direction. */
interface Way {
  /** How many of these frames were sent. */
  send(frames: readonly Uint8Array[]): Promise<number>;
  /** At least `count` frames. */
  receive(count: number): Promise<Uint8Array[]>;
}

// What every uplink must do, whatever it is made of. A kind may skip a case only with its reason.

const FAR_MAC = '02:00:00:00:ff:01';
const CHUNK = 100;
/** Of 2000 random frames each way: a million in all. HEDDLE_UPLINK_ROUNDS=1 is for the hasty. */
const ROUNDS = Number(process.env.HEDDLE_UPLINK_ROUNDS ?? 250);
const MINUTES = { timeout: 600_000 };

const directory = mkdtempSync(join(tmpdir(), 'heddle-uplinks-'));

const specimens: Specimen[] = [
  tapSpecimen(namespaceMissing, 1, 1500),
  tapSpecimen(namespaceMissing, 2, 9000),
  packetSpecimen(namespaceMissing),
  xdpSpecimen(namespaceMissing, 1, 1500),
  xdpSpecimen(namespaceMissing, 2, 1500),
  xdpSpecimen(namespaceMissing, 1, 9000),
  streamSpecimen(directory, 'server'),
  streamSpecimen(directory, 'client'),
  dgramSpecimen(directory, false),
  dgramSpecimen(directory, true),
  vdeSpecimen(directory),
  passtSpecimen(directory),
  internalSpecimen(directory, 'loopback'),
  internalSpecimen(directory, 'null'),
];

afterAll(() => rmSync(directory, { recursive: true, force: true }));

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

describe.each(specimens)('an uplink of type $type', (specimen) => {
  let lab: TestNic;
  let guest: MockGuest;
  let far: FarEnd;
  const chunkSize = specimen.chunk ?? CHUNK;

  const uplink = (): UplinkStats => {
    const [stats] = lab.nic.stats().uplinks;
    if (stats === undefined) throw new Error('no uplink');
    return stats;
  };
  const until = (what: string, isTrue: () => boolean): Promise<void> =>
    waitUntil(isTrue, () => ({ what, ...uplink() }));
  const skipIf = ({ skip }: TestContext, name: string): void => {
    const reason = specimen.skips?.[name];
    if (reason !== undefined) skip(reason);
  };
  /** Frames of the guest that reach the world, with random lengths and contents. */
  const toWorld = (count: number, seed: number, lengthMax = specimen.mtu + 14): Uint8Array[] =>
    randomFrames({ to: BROADCAST, from: lab.mac(0) }, count, seed, lengthMax);
  const toGuest = (count: number, seed: number): Uint8Array[] =>
    randomFrames({ to: lab.mac(0), from: FAR_MAC }, count, seed, specimen.mtu + 14);

  /**
   * Sends frames as fast as the other side takes them, never more at once than it can queue. All
   * that comes is compared.
   */
  const carry = async (frames: readonly Uint8Array[], way: Way): Promise<void> => {
    let sent = 0;
    let came = 0;
    const progress = (): object => ({ sent, came, ...uplink() });
    while (came < frames.length) {
      const chunk = frames.slice(sent, came + chunkSize);
      if (chunk.length > 0) sent += await way.send(chunk);
      if (sent === came) {
        await new Promise((resolve) => setImmediate(resolve)); // no room, and nothing under way
        continue;
      }
      const count = Math.min(sent - came, Math.ceil(chunkSize / 2));
      const received = await inTime(way.receive(count), progress);
      checkSame(received, frames.slice(came, came + received.length), came);
      came += received.length;
    }
    expect(came).toBe(frames.length);
  };
  const sendToWorld = async (frames: readonly Uint8Array[]): Promise<void> => {
    far.frames.length = 0;
    await carry(frames, {
      send: async (chunk) => {
        await guest.sendAll(chunk);
        return chunk.length;
      },
      receive: async (count) => {
        await far.arrived(count);
        return far.frames.splice(0);
      },
    });
    await guest.waitTransmitted();
  };
  const sendToGuest = (frames: readonly Uint8Array[]): Promise<void> =>
    carry(frames, {
      send: (chunk) => {
        const refused = chunk.findIndex((frame) => !far.send(frame));
        return Promise.resolve(refused < 0 ? chunk.length : refused);
      },
      receive: async (count) => [...(await guest.waitReceived(count)), ...guest.inbox.drain()],
    });

  /** A far end of its own making may be back later than the uplink is. */
  const reachable = async (): Promise<void> => {
    const [probe, last] = toWorld(2, 0) as [Uint8Array, Uint8Array];
    far.frames.length = 0;
    for (let i = 0; i < 100 && far.frames.length === 0; i++) {
      await guest.sendAll([probe]);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // What was sent meanwhile may still be on its way.
    await guest.sendAll([last]);
    await until('the last', () => Buffer.compare(far.frames.at(-1) ?? probe, last) === 0);
    far.frames.length = 0;
  };

  beforeEach(async ({ skip }) => {
    if (specimen.missing !== undefined) return skip(specimen.missing);
    specimen.prepare?.();
    lab = await TestNic.start({ vfs: 2, vf: { mtu: specimen.mtu } });
    guest = await lab.connect(0, { frameSizeMax: specimen.mtu + 19 });
    await lab.nic.addUplink(specimen.config);
    if (specimen.needsFarEndFirst !== true) {
      await until('up', () => lab.nic.uplinks()[0]?.state === 'up');
    }
    far = await specimen.openFarEnd();
    await until('link', () => lab.nic.uplinks()[0]?.state === 'up');
  });

  afterEach(async () => {
    if (specimen.missing !== undefined) return;
    far.close();
    lab.checkGuests();
    const problems = imbalances(lab.nic.stats());
    await lab.close();
    specimen.cleanUp?.();
    // An uplink that was removed took its counters along: of the NIC as a whole the sums differ.
    expect(problems.filter((problem) => !problem.startsWith('NIC:'))).toEqual([]);
  });

  test('carries random frames to the world byte by byte, in order', MINUTES, async () => {
    const source = new RandomFrames({ to: BROADCAST, from: lab.mac(0) }, specimen.mtu + 14);
    for (let round = 0; round < ROUNDS; round++) await sendToWorld(source.take(2000, round));
    // The far end has a frame before the NIC has counted it.
    await until('counted', () => uplink().wire.sent >= ROUNDS * 2000);
    expect(uplink().wire.sent).toBe(ROUNDS * 2000);
    expect(uplink().rx.packets).toBe(ROUNDS * 2000);
    expect(Object.values(uplink().wire.drops).every((count) => count === 0)).toBe(true);
  });

  test('carries random frames from the world byte by byte, in order', MINUTES, async (context) => {
    skipIf(context, 'fromWorld');
    const source = new RandomFrames({ to: lab.mac(0), from: FAR_MAC }, specimen.mtu + 14);
    for (let round = 0; round < ROUNDS; round++) await sendToGuest(source.take(2000, round));
    const received = (): number => Math.min(uplink().wire.received, uplink().tx.packets);
    await until('counted', () => received() >= ROUNDS * 2000);
    expect(uplink().wire.received).toBe(ROUNDS * 2000);
    expect(uplink().tx.packets).toBe(ROUNDS * 2000);
    expect(Object.values(uplink().wire.drops).every((count) => count === 0)).toBe(true);
  });

  test('counts what the kernel counts', async (context) => {
    if (specimen.kernelCounters === undefined) return context.skip('the kernel does not see it');
    const before = specimen.kernelCounters();
    const { wire } = uplink();
    await sendToWorld(toWorld(300, 3));
    await sendToGuest(toGuest(200, 4));
    await until('counted', () => uplink().wire.sent - wire.sent >= 300);
    const after = specimen.kernelCounters();
    expect(after.toWorld - before.toWorld).toBe(uplink().wire.sent - wire.sent);
    expect(after.toNic - before.toNic).toBe(uplink().wire.received - wire.received);
  });

  test('carries the largest frame of its MTU, and counts what is longer', async () => {
    const largest = plainFrame({ to: BROADCAST, from: lab.mac(0) }, specimen.mtu + 14, 5);
    await sendToWorld([largest]);
    const giant = plainFrame({ to: BROADCAST, from: lab.mac(0) }, specimen.mtu + 19, 6);
    await guest.sendAll([giant]);
    await until('counted', () => uplink().wire.drops.tooLong === 1);
    await sendToWorld(toWorld(10, 7));
  });

  test('takes bursts both ways at once', async (context) => {
    skipIf(context, 'bursts');
    skipIf(context, 'fromWorld');
    const [outwards, inwards] = [toWorld(500, 8, 200), toGuest(100, 9)];
    const arrived = guest.waitReceived(inwards.length);
    const sending = guest.sendAll(outwards);
    for (const frame of inwards) await until('room', () => far.send(frame));
    await sending;
    await until('to the world', () => far.frames.length >= outwards.length);
    checkSame(far.frames, outwards);
    checkSame(await arrived, inwards);
  });

  test('counts as ring full what a guest has no buffers for, and goes on', async (context) => {
    skipIf(context, 'fromWorld');
    const slow = await lab.connect(1, { repost: false, receiveBuffers: 16 });
    const frames = randomFrames({ to: lab.mac(1), from: FAR_MAC }, 50, 10, 200);
    const arrived = slow.waitReceived(16);
    for (const frame of frames) await until('room', () => far.send(frame));
    checkSame(await arrived, frames.slice(0, 16));
    await until('counted', () => lab.drops(1)['rx.ringFull'] === 34);
    await sendToGuest(toGuest(50, 18));
  });

  test('waits for a peer that does not read, and loses nothing', async (context) => {
    skipIf(context, 'backPressure');
    far.setReading(false);
    const frames = toWorld(900, 11); // more than a socket's buffers, less than the ring
    await guest.sendAll(frames);
    await until('blocked', () => uplink().wire.blocked > 0);
    far.setReading(true);
    await until('to the world', () => far.frames.length >= frames.length);
    checkSame(far.frames, frames);
  });

  test('reports the loss of its link and its return', async (context) => {
    if (specimen.loseLink === undefined || specimen.returnLink === undefined) {
      return context.skip('its link cannot be lost');
    }
    await sendToWorld(toWorld(10, 12));
    specimen.loseLink();
    await until('down', () => lab.nic.uplinks()[0]?.state === 'down');
    expect(lab.nic.uplinks()[0]?.reason).toMatch(/\w/);
    const before = lab.stats(0).tx.drops.noDestination ?? 0;
    await guest.sendAll(toWorld(5, 13));
    await until('dropped', () => (lab.stats(0).tx.drops.noDestination ?? 0) === before + 5);
    specimen.returnLink();
    await until('up', () => lab.nic.uplinks()[0]?.state === 'up');
    await reachable();
    await sendToWorld(toWorld(10, 14));
    await sendToGuest(toGuest(10, 15));
  });

  test('can be removed under load and added again', async () => {
    const sending = guest.sendAll(toWorld(3000, 16, 100));
    await lab.nic.removeUplink('up');
    await sending;
    await guest.waitTransmitted();
    expect(lab.nic.uplinks()).toEqual([]);
    far.close();
    await lab.nic.addUplink(specimen.config);
    far = await specimen.openFarEnd();
    await until('up', () => lab.nic.uplinks()[0]?.state === 'up');
    await sendToWorld(toWorld(10, 17));
  });
});

function randomFrames(
  addresses: { to: string; from: string },
  count: number,
  seed: number,
  lengthMax: number,
): Uint8Array[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, index) =>
    plainFrame(addresses, random.between(60, lengthMax), seed * 100_000 + index),
  );
}
