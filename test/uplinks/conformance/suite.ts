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
import { checkSame } from '../../support/exchange.ts';
import { enterNamespace, namespaceMissing } from '../../support/namespace.ts';
import { TestNic } from '../../support/test-nic.ts';
import { untilSame } from '../../support/wait-until.ts';
import type { Specimen } from './specimens.ts';
import { UplinkLab } from './uplink-lab.ts';

// What every kind of uplink must do. A kind may skip a case only with a reason.

/** Rounds of 2000 random frames each way: a million in all. HEDDLE_UPLINK_ROUNDS=1 is quick. */
const ROUNDS = Number(process.env.HEDDLE_UPLINK_ROUNDS ?? 250);
const MINUTES = { timeout: 600_000 };

/** `specimensIn` makes the specimens to test, with their sockets in the given directory. */
export function describeUplinks(specimensIn: (directory: string) => readonly Specimen[]): void {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-uplinks-'));
  beforeAll(() => {
    if (namespaceMissing === undefined) enterNamespace();
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  describe.each(specimensIn(directory))('an uplink of type $type', (specimen) => {
    let nic: TestNic | undefined;
    let lab: UplinkLab | undefined;
    const current = (): UplinkLab => {
      if (lab === undefined) throw new Error('assertion: no laboratory');
      return lab;
    };
    // One NIC serves all cases. Each case has a new uplink and a new guest.
    beforeAll(async () => {
      if (specimen.missing !== undefined) return;
      nic = await TestNic.start({ vfs: 2, vf: { mtu: specimen.mtu } });
    });
    afterAll(() => nic?.close());
    beforeEach(async ({ skip }) => {
      if (specimen.missing !== undefined || nic === undefined) return skip(specimen.missing);
      lab = await UplinkLab.open(nic, specimen);
    });
    afterEach(async () => {
      await lab?.close();
      lab = undefined;
    });
    testCarriage(current);
    testLoad(current);
    testChanges(current);
    testSuccession(current);
  });
}

function skipIf({ skip }: TestContext, { skips }: Specimen, name: string): void {
  const reason = skips?.[name];
  if (reason !== undefined) skip(reason);
}

function testCarriage(current: () => UplinkLab): void {
  test('carries random frames to the world byte by byte, in order', MINUTES, async () => {
    const lab = current();
    const source = lab.streamToWorld();
    for (let round = 0; round < ROUNDS; round++) await lab.sendToWorld(source.take(2000, round));
    // The far end receives a frame before the NIC counts it.
    await lab.until('counted', () => lab.stats.wire.sent >= ROUNDS * 2000);
    expect(lab.stats.wire.sent).toBe(ROUNDS * 2000);
    expect(lab.stats.rx.packets).toBe(ROUNDS * 2000);
    expect(Object.values(lab.stats.wire.drops).every((count) => count === 0)).toBe(true);
  });

  test('carries random frames from the world byte by byte, in order', MINUTES, async (context) => {
    const lab = current();
    skipIf(context, lab.specimen, 'fromWorld');
    const source = lab.streamToGuest();
    for (let round = 0; round < ROUNDS; round++) await lab.sendToGuest(source.take(2000, round));
    const received = (): number => Math.min(lab.stats.wire.received, lab.stats.tx.packets);
    await lab.until('counted', () => received() >= ROUNDS * 2000);
    expect(lab.stats.wire.received).toBe(ROUNDS * 2000);
    expect(lab.stats.tx.packets).toBe(ROUNDS * 2000);
    expect(Object.values(lab.stats.wire.drops).every((count) => count === 0)).toBe(true);
  });

  test('counts the same frames as the kernel', async ({ skip }) => {
    const lab = current();
    const { kernelCounters } = lab.specimen;
    if (kernelCounters === undefined) return skip('the kernel does not see it');
    const before = kernelCounters();
    const { wire } = lab.stats;
    await lab.sendToWorld(lab.toWorld(300, 3));
    await lab.sendToGuest(lab.toGuest(200, 4));
    const kernel = (): object => {
      const { toWorld, toNic } = kernelCounters();
      return { toWorld: toWorld - before.toWorld, toNic: toNic - before.toNic };
    };
    const own = (): object => {
      const { sent, received } = lab.stats.wire;
      return { toWorld: sent - wire.sent, toNic: received - wire.received };
    };
    await untilSame(own, kernel);
  });

  test('carries the largest frame of its MTU, and counts a longer one', async () => {
    const lab = current();
    const { mtu } = lab.specimen;
    await lab.sendToWorld([lab.frameOf(mtu + 14, 5)]);
    await lab.guest.sendAll([lab.frameOf(mtu + 19, 6)]);
    await lab.until('counted', () => lab.stats.wire.drops.tooLong === 1);
    await lab.sendToWorld(lab.toWorld(10, 7));
  });
}

function testLoad(current: () => UplinkLab): void {
  test('takes bursts in both directions at the same time', async (context) => {
    const lab = current();
    skipIf(context, lab.specimen, 'bursts');
    skipIf(context, lab.specimen, 'fromWorld');
    const { guest, far } = lab;
    // A TAP with several queues puts a flow into the queue of its answers, once it has seen one
    // within the last 3 s (tun_automq_select_queue); a change in the middle of a burst reorders it.
    await lab.sendToWorld(lab.toWorld(1, 19));
    const [outwards, inwards] = [lab.toWorld(500, 8, 200), lab.toGuest(100, 9)];
    const arrived = guest.waitReceived(inwards.length);
    const sending = guest.sendAll(outwards);
    for (const frame of inwards) await lab.until('room', () => far.send(frame));
    await sending;
    await lab.until('to the world', () => far.frames.length >= outwards.length);
    checkSame(far.frames, outwards);
    checkSame(await arrived, inwards);
  });

  test('counts frames that a guest has no buffers for as ringFull, and continues', async (context) => {
    const lab = current();
    skipIf(context, lab.specimen, 'fromWorld');
    const slow = await lab.nic.connect(1, { repost: false, receiveBuffers: 16 });
    const frames = lab.toVf(1, 50, 10, 200);
    const arrived = slow.waitReceived(16);
    for (const frame of frames) await lab.until('room', () => lab.far.send(frame));
    checkSame(await arrived, frames.slice(0, 16));
    await lab.until('counted', () => lab.nic.drops(1)['rx.ringFull'] === 34);
    await lab.sendToGuest(lab.toGuest(50, 18));
    await lab.nic.disconnect(1, slow);
  });

  test('waits for a peer that does not read, and loses nothing', async (context) => {
    const lab = current();
    skipIf(context, lab.specimen, 'backPressure');
    const { guest, far } = lab;
    far.setReading(false);
    const frames = lab.toWorld(900, 11); // more than a socket's buffers, less than the ring
    await guest.sendAll(frames);
    await lab.until('blocked', () => lab.stats.wire.blocked > 0);
    far.setReading(true);
    await lab.until('to the world', () => far.frames.length >= frames.length);
    checkSame(far.frames, frames);
  });
}

function testChanges(current: () => UplinkLab): void {
  test('reports that its link is lost and that it is back', async ({ skip }) => {
    const lab = current();
    const { loseLink, returnLink } = lab.specimen;
    if (loseLink === undefined || returnLink === undefined) return skip('its link cannot be lost');
    await lab.sendToWorld(lab.toWorld(10, 12));
    loseLink();
    await lab.untilLink('down');
    expect(lab.nic.nic.uplinks()[0]?.reason).toMatch(/\w/);
    const before = lab.undeliverable;
    await lab.guest.sendAll(lab.toWorld(5, 13));
    await lab.until('dropped', () => lab.undeliverable === before + 5);
    returnLink();
    await lab.untilLink('up');
    await lab.untilReachable();
    await lab.sendToWorld(lab.toWorld(10, 14));
    await lab.sendToGuest(lab.toGuest(10, 15));
  });

  test('can be removed under load and added again', async () => {
    const lab = current();
    const sending = lab.guest.sendAll(lab.toWorld(3000, 16, 100));
    await lab.remove();
    await sending;
    await lab.guest.waitTransmitted();
    expect(lab.nic.nic.uplinks()).toEqual([]);
    await lab.addAgain();
    await lab.sendToWorld(lab.toWorld(10, 17));
  });
}

function testSuccession(current: () => UplinkLab): void {
  test('continues when another NIC takes over', async () => {
    const lab = current();
    const { isOpenedAnew = false, skips, loseLink, returnLink } = lab.specimen;
    // In mid-traffic: the other NIC sends the frames that wait in the rings.
    for (const isSameProcess of isOpenedAnew ? [] : [true, false]) {
      await Promise.all([
        lab.sendToWorld(lab.toWorld(600, 19)),
        lab.nic.succeed({ isSameProcess }),
      ]);
    }
    if (isOpenedAnew) await lab.nic.succeed();
    await lab.untilLink('up');
    await lab.sendToWorld(lab.toWorld(300, 20));
    if (skips?.fromWorld === undefined) await lab.sendToGuest(lab.toGuest(300, 21));
    expect(Object.values(lab.stats.wire.drops).every((count) => count === 0)).toBe(true);
    if (loseLink === undefined || returnLink === undefined) return;
    // The other NIC watches the link, too.
    loseLink();
    await lab.untilLink('down');
    returnLink();
    await lab.untilLink('up');
    await lab.untilReachable();
  });

  test('continues when another NIC takes over at the third attempt', async () => {
    const lab = current();
    const { isOpenedAnew = false, skips, loseLink, returnLink } = lab.specimen;
    const sending = isOpenedAnew ? null : lab.sendToWorld(lab.toWorld(600, 22));
    await lab.nic.succeed({ failsFirst: true });
    await sending;
    await lab.untilLink('up');
    if (isOpenedAnew) await lab.sendToWorld(lab.toWorld(600, 22));
    if (skips?.fromWorld === undefined) await lab.sendToGuest(lab.toGuest(300, 23));
    if (loseLink === undefined || returnLink === undefined) return;
    // Lost while no NIC is there, or before.
    for (const meanwhile of [loseLink, undefined]) {
      if (meanwhile === undefined) {
        loseLink();
        await lab.untilLink('down');
      }
      await lab.nic.succeed({ failsFirst: true, ...(meanwhile && { meanwhile }) });
      await lab.untilLink('down');
      returnLink();
      await lab.untilLink('up');
      await lab.untilReachable();
      await lab.sendToWorld(lab.toWorld(10, 24));
    }
  });
}
